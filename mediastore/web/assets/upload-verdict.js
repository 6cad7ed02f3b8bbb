// Whether what the server has is what this browser read, by the SHA-256 of both.

// {state, word, text, sum}: a class, one or two words, a sentence where there is something to say, and the checksum.
export function verdict(item) {
  const theirs = item.record.content?.checksums?.sha256?.value;
  if (item.sha256 && theirs) {
    if (item.sha256 === theirs) return {state: "good", word: "stored, checksums equal", text: "", sum: theirs};
    return {
      state: "bad",
      word: "checksums differ",
      text: `What the server has is not what the file holds now. The file may have been changed while it was sent: upload it again. The server's SHA-256 is ${theirs}.`,
      sum: item.sha256,
    };
  }
  if (item.sha256) return {state: "good", word: "stored", text: "The store keeps no SHA-256 to compare with this one.", sum: item.sha256};
  if (item.sha256 === null) return {state: "warn", word: "stored", text: "The file could not be read again to compare checksums. The server's is shown.", sum: theirs ?? ""};
  return {state: "good", word: "stored", text: "The checksum of the file is still being computed here.", sum: theirs ?? ""};
}
