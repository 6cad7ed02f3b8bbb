// The metadata of a record: shown as a tree, changed in it, saved by paths, and put together with what others changed.

import {Refused, pathOf, said, send} from "./api.js";
import {$, attempt, el, news} from "./dom.js";
import {applied, compared, differences, patchOf, pathText} from "./json_changes.js";
import {parse, put, same, valueAt} from "./json_text.js";
import {askAbout} from "./metadata_conflict.js";
import {differenceLine} from "./metadata_told.js";
import {Tree} from "./metadata_tree.js";
import {record, refresh} from "./record_page.js";

const place = $("#tree");
let base = parse($("#metadata-text").textContent);
let revision = Number(place.dataset.revision);
let draft = base;

const trouble = el("p", {class: "trouble", role: "alert", hidden: true});
const unsaved = el("div", {class: "unsaved", hidden: true});
const tree = new Tree({writable: place.dataset.write === "yes", changed, isNew: path => !same(valueAt(draft, path), valueAt(base, path))});
place.replaceChildren(tree.element, trouble, unsaved);
tree.draw(draft);

addEventListener("beforeunload", event => { if (!same(base, draft)) event.preventDefault(); });

// The page has seen the record anew. What is being typed stays, and is compared when it is saved.
document.addEventListener("fresh", ({detail}) => {
  const now = parse(detail.metadata);
  if (!tree.settle() || (!same(base, now) && !same(base, draft))) return;
  if (same(base, draft)) draft = now;
  const redraw = !same(base, now);
  base = now;
  revision = record.revision;
  if (redraw) tree.draw(draft);
});

function changed(now) {
  draft = now;
  tree.draw(draft);
  tell();
}

function tell() {
  const changes = differences(base, draft);
  unsaved.hidden = !changes.length;
  if (!changes.length) { unsaved.replaceChildren(); return; }
  const save = el("button", {class: "first", onclick: () => attempt(keep, {button: save, place: trouble, said})}, "Save");
  const undo = el("button", {onclick: () => { changed(base); tree.focus(); }}, "Undo all");
  unsaved.replaceChildren(
    el("h3", {}, changes.length === 1 ? "One change is not saved" : `${changes.length} changes are not saved`),
    el("ul", {class: "differences"}, changes.slice(0, 50).map(one => el("li", {}, differenceLine(one),
      el("button", {class: "quiet", "aria-label": `Undo the change of ${pathText(one.path)}`, onclick: () => changed(put(draft, one.path, one.before))}, "Undo")))),
    el("p", {class: "hint", hidden: changes.length <= 50}, `and ${changes.length - 50} more`),
    el("div", {class: "row"}, save, undo));
}

async function keep() {
  if (!tree.settle()) return;
  for (;;) {
    const changes = differences(base, draft);
    if (!changes.length) break;
    try {
      await send("PATCH", `/media/${pathOf(record.pid)}`, {body: new Blob([patchOf(changes, draft)], {type: "application/json"}), headers: {"If-Match": `"${revision}"`}});
      base = draft;
      break;
    } catch (error) {
      if (error.status !== 412) throw error;
      if (!await putTogether()) throw new Refused(412, {detail: "nothing was saved: somebody else changed the metadata meanwhile. Save again to compare"});
    }
  }
  await refresh();
  draft = base;
  tree.draw(draft);
  tell();
  tree.focus();
  news("The metadata is saved.");
}

// What somebody else saved, and what stands here, as one; false when nobody wants to decide now.
async function putTogether() {
  const answer = parse(await (await send("GET", `/media/${pathOf(record.pid)}`)).text());
  const theirs = answer.members.get("metadata");
  const found = compared(base, draft, theirs);
  if (!same(base, theirs)) {
    const mine = await askAbout(found);
    if (mine === null) return false;
    draft = applied(theirs, [...found.ours, ...mine]);
  }
  base = theirs;
  revision = Number(answer.members.get("revision").text);
  tree.draw(draft);
  tell();
  return true;
}
