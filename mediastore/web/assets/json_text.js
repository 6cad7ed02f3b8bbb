// JSON as it is written: numbers stay the text that they are, so that no digit is lost, and 1.0 is not 1.
// A value is {kind: "object", members: Map}, {kind: "array", items: []}, {kind: "string", text}, {kind: "number", text},
// or {kind: "true" | "false" | "null"}.

const DEEPEST = 500;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const WORD = /[^\s,:[\]{}"]+/y;

// What is wrong with a text, and where: `at` counts letters from its beginning.
export class JsonTrouble extends Error {
  constructor(what, text, at) {
    const before = text.slice(0, at).split("\n");
    super(`Line ${before.length}, column ${before.at(-1).length + 1}: ${what}.`);
    this.at = at;
  }
}

export function parse(text) {
  let at = 0;
  const take = pattern => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return "";
    at += found[0].length;
    return found[0];
  };
  const fail = (what, place = at) => { throw new JsonTrouble(what, text, place); };
  const here = () => at >= text.length ? "the text ends here" : `here stands ${JSON.stringify(text[at])}`;

  function string() {
    const from = at;
    for (at += 1; ; at += 1) {
      take(PLAIN);
      if (text[at] === '"') break;
      if (text[at] === "\\") { at += 1; continue; }
      fail(at >= text.length ? "this text in quotes does not end" : "a line break or tab in quotes is written \\n or \\t", at >= text.length ? from : at);
    }
    at += 1;
    try {
      return JSON.parse(text.slice(from, at));
    } catch {
      return fail('a backslash in quotes goes before one of " \\ / b f n r t, or u and four digits', from);
    }
  }

  function object(depth) {
    const members = new Map();
    at += 1;
    take(SPACE);
    while (text[at] !== "}") {
      if (text[at] !== '"') fail(`a name in double quotes is expected, and ${here()}`);
      const from = at;
      const name = string();
      if (members.has(name)) fail(`the name ${JSON.stringify(name)} is there twice`, from);
      take(SPACE);
      if (text[at] !== ":") fail(`a colon is expected behind the name, and ${here()}`);
      at += 1;
      members.set(name, value(depth + 1));
      take(SPACE);
      if (text[at] === "}") break;
      if (text[at] !== ",") fail(`a comma or } is expected, and ${here()}`);
      at += 1;
      take(SPACE);
      if (text[at] === "}") fail("the comma before } is one too many", at - 1);
    }
    at += 1;
    return {kind: "object", members};
  }

  function array(depth) {
    const items = [];
    at += 1;
    take(SPACE);
    while (text[at] !== "]") {
      items.push(value(depth + 1));
      take(SPACE);
      if (text[at] === "]") break;
      if (text[at] !== ",") fail(`a comma or ] is expected, and ${here()}`);
      at += 1;
      take(SPACE);
      if (text[at] === "]") fail("the comma before ] is one too many", at - 1);
    }
    at += 1;
    return {kind: "array", items};
  }

  function value(depth) {
    take(SPACE);
    if (depth > DEEPEST) fail(`this is nested more than ${DEEPEST} deep`);
    const from = at;
    if (text[at] === "{") return object(depth);
    if (text[at] === "[") return array(depth);
    if (text[at] === '"') return {kind: "string", text: string()};
    const word = take(WORD);
    if (["true", "false", "null"].includes(word)) return {kind: word};
    if (isNumber(word)) return {kind: "number", text: word};
    if (/^[-+.\d]/.test(word)) fail(`${word} is no number; one is written like 12, -0.5 or 1e6`, from);
    return fail(word ? `${JSON.stringify(word)} is no value; words stand in double quotes` : `a value is expected, and ${here()}`, from);
  }

  const made = value(1);
  take(SPACE);
  if (at < text.length) fail(`something stands behind the end: ${JSON.stringify(text.slice(at, at + 20))}`);
  return made;
}

export function isNumber(text) {
  NUMBER.lastIndex = 0;
  return NUMBER.exec(text)?.[0].length === text.length && text !== "";
}

// Without `indent` in one line, as it goes over the wire.
export function write(value, indent = 0, level = 0) {
  const lines = (open, close, inner) => {
    if (!inner.length) return open + close;
    if (!indent) return open + inner.join(",") + close;
    const edge = `\n${" ".repeat(indent * level)}`;
    return open + inner.map(line => edge + " ".repeat(indent) + line).join(",") + edge + close;
  };
  switch (value.kind) {
    case "object":
      return lines("{", "}", [...value.members].map(([name, inner]) => `${JSON.stringify(name)}:${indent ? " " : ""}${write(inner, indent, level + 1)}`));
    case "array": return lines("[", "]", value.items.map(inner => write(inner, indent, level + 1)));
    case "string": return JSON.stringify(value.text);
    case "number": return value.text;
    default: return value.kind;
  }
}

// Whether two values say the same; undefined is what is not there.
export function same(one, other) {
  if (one === other) return true;
  if (!one || !other || one.kind !== other.kind) return false;
  switch (one.kind) {
    case "object": return one.members.size === other.members.size && [...one.members].every(([name, inner]) => same(inner, other.members.get(name)));
    case "array": return one.items.length === other.items.length && one.items.every((inner, place) => same(inner, other.items[place]));
    default: return one.text === other.text;
  }
}

// What is at a path of names and places; undefined where nothing is.
export const valueAt = (value, path) => path.reduce((holder, step) => typeof step === "string" ? holder?.members?.get(step) : holder?.items?.[step], value);

// The value with another at the path, undefined to take it away. What it was made of stays as it is.
export function put(value, path, inner) {
  if (!path.length) return inner;
  const [step, ...rest] = path;
  if (typeof step === "string") {
    const members = new Map(value?.kind === "object" ? value.members : []);
    const made = put(members.get(step), rest, inner);
    if (made === undefined) members.delete(step); else members.set(step, made);
    return {kind: "object", members};
  }
  const items = value?.kind === "array" ? [...value.items] : [];
  const made = put(items[step], rest, inner);
  if (made === undefined) items.splice(step, 1); else items[step] = made;
  return {kind: "array", items};
}
