// A worker: SHA-256 (FIPS 180-4) of files as they are read, piece by piece, for what browsers bring takes whole files alone.
// Asked {id, file}, it answers {id, sha256} or {id, error}; {id, stop: true} ends it.

const PIECE = 4 * 1024 * 1024;
const ROUNDS = roundConstants();
const stopped = new Set();

// The fractions of the cube roots of the first 64 primes, 32 bits each: by whole numbers, as doubles are too coarse.
function roundConstants() {
  const found = new Int32Array(64);
  for (let number = 2, count = 0; count < 64; number += 1) {
    let prime = true;
    for (let by = 2; by * by <= number; by += 1) if (number % by === 0) prime = false;
    if (prime) found[count++] = Number(BigInt.asIntN(32, cubeRoot(BigInt(number) << 96n)));
  }
  return found;
}

function cubeRoot(value) {
  let low = 0n;
  let high = 1n << 36n;
  while (low < high - 1n) {
    const middle = (low + high) >> 1n;
    if (middle * middle * middle <= value) low = middle; else high = middle;
  }
  return low;
}

class Sha256 {
  constructor() {
    this.state = new Int32Array([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]);
    this.words = new Int32Array(64);
    this.rest = new Uint8Array(0);
    this.length = 0;
  }

  update(bytes) {
    this.length += bytes.length;
    if (this.rest.length) {
      const joined = new Uint8Array(this.rest.length + bytes.length);
      joined.set(this.rest);
      joined.set(bytes, this.rest.length);
      bytes = joined;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (; at + 64 <= bytes.length; at += 64) this.block(view, at);
    this.rest = bytes.slice(at);
  }

  block(view, at) {
    const {words, state} = this;
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      const one = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
      const two = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
      words[i] = words[i - 16] + one + words[i - 7] + two | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i += 1) {
      const mixed = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
      const first = h + mixed + (g ^ e & (f ^ g)) + ROUNDS[i] + words[i] | 0;
      const turned = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
      const second = turned + (a & b | c & (a | b)) | 0;
      h = g; g = f; f = e; e = d + first | 0; d = c; c = b; b = a; a = first + second | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }

  hex() {
    const {length} = this;
    const last = new Uint8Array(8 + 64 - (length + 8) % 64);  // one bit, zeros, and the length in bits, to a whole block
    last[0] = 0x80;
    const view = new DataView(last.buffer);
    view.setUint32(last.length - 8, Math.floor(length / 2 ** 29));
    view.setUint32(last.length - 4, length << 3);
    this.update(last);
    return [...this.state].map(word => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

async function digest(id, file) {
  const sum = new Sha256();
  for (let at = 0; at < file.size && !stopped.has(id); at += PIECE) {
    sum.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
  }
  if (!stopped.delete(id)) self.postMessage({id, sha256: sum.hex()});
}

self.onmessage = ({data: {id, file, stop}}) => {
  if (stop) stopped.add(id);
  else digest(id, file).catch(error => self.postMessage({id, error: error.name}));
};
