// Which rows are selected: one by one, a run of them with Shift, all that are shown, or all that match.

import {$, $$} from "./dom.js";
import {total} from "./find_count.js";
import {count, size} from "./told.js";

let all = false;  // that match, shown or not
let last = null;

const boxes = () => $$("#rows .pick input");
const rowOf = box => box.closest("tr");

// What of a record a change needs to know.
const target = row => ({pid: row.dataset.pid, size: Number(row.dataset.size), revision: Number(row.dataset.revision)});

// The selected records; null for all that match.
export const selected = () => all ? null : boxes().filter(box => box.checked).map(box => target(rowOf(box)));

export function clear() {
  for (const box of boxes()) box.checked = false;
  all = false;
  show();
}

export function selection() {
  const head = $("#pick-all");
  reveal();
  head.hidden = false;
  head.addEventListener("change", () => { for (const box of boxes()) box.checked = head.checked; all = false; show(); });
  $("#rows").addEventListener("click", event => {
    const box = event.target.closest(".pick input");
    if (!box) return;
    if (event.shiftKey && last?.isConnected) run(last, box);
    last = box;
    all = false;
    show();
  });
  $("#pick-none").addEventListener("click", () => { clear(); head.focus(); });
  $("#pick-found").addEventListener("click", () => {
    all = boxes().every(box => box.checked);
    for (const box of boxes()) box.checked = true;
    show();
    if ($("#pick-found").hidden) $("#bulk [data-do]").focus();
  });
  document.addEventListener("rows", () => { reveal(); show(); });
  document.addEventListener("counted", show);
  show();  // browsers keep what was ticked when a page is loaded again
}

function reveal() {
  for (const box of boxes()) {
    box.hidden = false;
    if (all) box.checked = true;
  }
}

function run(from, to) {
  const list = boxes();
  const [first, end] = [list.indexOf(from), list.indexOf(to)].sort((a, b) => a - b);
  for (const box of list.slice(first, end + 1)) box.checked = to.checked;
}

function show() {
  const list = boxes();
  const picked = list.filter(box => box.checked);
  const head = $("#pick-all");
  head.checked = picked.length > 0 && picked.length === list.length;
  head.indeterminate = picked.length > 0 && picked.length < list.length;
  $("#bulk").hidden = picked.length === 0;
  const every = picked.length === list.length;
  $("#pick-found").hidden = all || (every && $("#more").hidden);
  $("#pick-found").textContent = every ? `Select all ${told()}that match` : `Select all ${list.length} shown`;
  const bytes = picked.reduce((sum, box) => sum + Number(rowOf(box).dataset.size), 0);
  $("#picked").textContent = all ? `All ${told()}records that match` : `${count(picked.length, "record")}, ${size(bytes)}`;
}

function told() {
  const found = total();
  return !found ? "" : found.exact ? `${found.value.toLocaleString("en")} ` : `(about ${found.value.toLocaleString("en")}) `;
}
