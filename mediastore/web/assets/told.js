// Sizes, times and spans as people read them: the same words as those of the server's templates.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
const UNSEEN = /([\u0000-\u0008\u000b-\u001f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff])/u;
const SPANS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) { bytes /= 1024; unit += 1; }
  const shown = unit === 0 || bytes >= 1000 ? Math.round(bytes).toLocaleString("en") : String(Number(bytes.toPrecision(3)));
  return `${shown} ${UNITS[unit]}`;
}

export const moment = text => text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "–";

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function span(seconds) {
  for (const [length, name] of SPANS) if (seconds >= length) return count(Math.round(seconds / length), name);
  return "a moment";
}

// Text as it is, for `el` and `append`: what would turn or hide its letters is a mark.
export const visible = text => text.split(UNSEEN).filter(part => part !== "").map(part => {
  if (!UNSEEN.test(part)) return part;
  const mark = document.createElement("span");
  mark.className = "unseen";
  mark.textContent = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return mark;
});
