// PIDs of files by a pattern, such as cruise/{folder}/{stem}: the words are those of `mediastore put --pid-pattern`, and a few more.

const PLACE = /\{([^{}]*)\}/gu;
const LONGEST = 255;

const PARTS = {
  path: file => file.path,
  name: file => file.name,
  stem: file => file.name.includes(".", 1) ? file.name.slice(0, file.name.lastIndexOf(".")) : file.name,
  folder: file => file.folder,
  date: file => new Date(file.modified).toISOString().slice(0, 10),
  number: (file, place) => String(place + 1).padStart(4, "0"),
};

// What is wrong with a pattern, in a sentence; empty where nothing is.
export function wrongPattern(text) {
  const known = Object.keys(PARTS).map(part => `{${part}}`).join(", ");
  const parts = [...text.matchAll(PLACE)].map(found => found[1]);
  const unknown = parts.find(part => !Object.hasOwn(PARTS, part));
  if (unknown !== undefined) return `{${unknown}} means nothing here. There are ${known}.`;
  if (/[{}]/u.test(text.replace(PLACE, ""))) return `A brace belongs to none of ${known}.`;
  if (!text.trim()) return `Write a pattern, such as {name}. There are ${known}.`;
  return "";
}

// The PID of a file, the `place`-th of its kind. A folder that there is not takes its slash along.
export function pidOf(pattern, file, place) {
  const text = file.folder ? pattern : pattern.replaceAll("{folder}/", "");
  return text.replace(PLACE, (_, part) => PARTS[part](file, place)).normalize("NFC");
}

// What is wrong with a PID, in a sentence; empty where nothing is. The server has the last word.
export function wrongPid(pid) {
  const length = [...pid].length;
  if (!length) return "Write a PID.";
  if (length > LONGEST) return `A PID has at most ${LONGEST} characters; this one has ${length}.`;
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]|(?! )\p{Zs}/u.test(pid)) return "A PID holds printable characters only.";
  if (pid !== pid.trim()) return "A PID does not begin or end with a space.";
  if (pid.split("/").some(segment => ["", ".", ".."].includes(segment))) {
    return "A PID has no slash at its ends, no two in a row, and no . or .. between them.";
  }
  return "";
}
