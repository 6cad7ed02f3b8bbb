// The page of what happened: its form makes short addresses, and what it found is saved as a file.

import {send, said} from "./api.js";
import {$, attempt, el, news} from "./dom.js";
import {count, size} from "./told.js";

const TELL_MS = 300;
const KEPT = 4 * 1024 * 1024;  // bytes that are gathered before the browser is given them to keep

// Fields that ask for nothing stay out of the address.
$("form.search").addEventListener("formdata", event => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

const button = $("#export");
const saving = $("#saving");

button?.addEventListener("click", () => attempt(async () => {
  const stop = new AbortController();
  $("button", saving).onclick = () => stop.abort();
  tell(0, 0);
  saving.hidden = false;
  $("button", saving).focus();
  try {
    const answer = await send("GET", `/events/export?${button.dataset.query}`, {headers: {Accept: "application/x-ndjson"}, signal: stop.signal});
    const {file, events} = await whole(answer.body.getReader());
    save(file, `events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.ndjson`);
    news(`${count(events, "event")} saved, one a line.`);
  } finally {
    saving.hidden = true;
    button.disabled = false;
    button.focus();
  }
}, {button, place: $("#trouble"), said}));

function tell(events, bytes) {
  $("p", saving).textContent = `${count(events, "event")} so far, ${size(bytes)}`;
}

// All that comes, in pieces that the browser may put on its disk.
async function whole(reader) {
  const kept = [];
  let pieces = [], held = 0, events = 0, bytes = 0, told = 0;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("the server stopped half-way, and nothing was saved");
    }
    if (piece.done) break;
    pieces.push(piece.value);
    held += piece.value.length;
    bytes += piece.value.length;
    for (let at = piece.value.indexOf(10); at !== -1; at = piece.value.indexOf(10, at + 1)) events += 1;
    if (held > KEPT) {
      kept.push(new Blob(pieces));
      [pieces, held] = [[], 0];
    }
    if (performance.now() - told > TELL_MS) {
      tell(events, bytes);
      told = performance.now();
    }
  }
  return {file: new Blob([...kept, ...pieces], {type: "application/x-ndjson"}), events};
}

function save(file, name) {
  const url = URL.createObjectURL(file);
  el("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
