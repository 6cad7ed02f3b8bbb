// A change to many records: chosen, tried, looked at, done in groups, and told.

import {pathOf, said} from "./api.js";
import {$, $$, el, news, trouble} from "./dom.js";
import {change, matching, MOST} from "./find_batch.js";
import {CHANGES, refusal} from "./find_changes.js";
import {count as counted} from "./find_count.js";
import {facets} from "./find_facets.js";
import {refresh} from "./find_results.js";
import {clear, selected} from "./find_selection.js";
import {count, size, visible} from "./told.js";

const EXAMPLES = 5;
const LISTED = 500;  // refusals that are shown by name
const MANY = 25;  // from so many on a deletion is confirmed by their number

let kind, what, running, touched;

export function bulk() {
  const dialog = $("#change");
  for (const button of $$("#bulk [data-do]")) button.addEventListener("click", () => open(button.dataset.do));
  $("#choose").addEventListener("submit", event => { event.preventDefault(); preview(); });
  $("[data-close]", dialog).addEventListener("click", () => dialog.close());
  $("#stop").addEventListener("click", stop);
  dialog.addEventListener("cancel", event => { if (running) { event.preventDefault(); stop(); } });
  dialog.addEventListener("close", closed);
}

function stop() {
  running?.abort();
  howFar("Stopping…");
}

function open(name) {
  kind = name;
  what = CHANGES[name];
  touched = false;
  $("#change-title").textContent = what.title;
  trouble($("#choose .trouble"));
  for (const part of $$("#choose fieldset")) part.hidden = part.disabled = part.dataset.for !== kind;
  const chooses = kind in {tags: 1, expiry: 1};
  show(chooses ? "choose" : null);
  $("#change").showModal();
  if (chooses) $("#choose fieldset:not([hidden]) input").focus(); else preview();
}

// One of the three parts of the dialog.
function show(part) {
  for (const id of ["choose", "under-way", "outcome"]) $(`#${id}`).hidden = id !== part;
}

function howFar(text, done = null, all = null) {
  show("under-way");
  $("#how-far").textContent = text;
  const bar = $("#under-way progress");
  if (all) { bar.max = all; bar.value = done; } else bar.removeAttribute("value");
}

async function preview() {
  let item;
  try { item = what.item($("#choose").elements); } catch (error) { trouble($("#choose .trouble"), error.message); return; }
  trouble($("#choose .trouble"));
  await working(async signal => {
    howFar("Looking at the records…");
    const picked = selected();
    const {targets, cut} = picked ? {targets: picked, cut: false}
      : await matching({signal, told: so => howFar(`Looking at the records: ${so.toLocaleString("en")} so far`)});
    const tried = {changes: [], same: 0, bytes: 0, refused: new Map(), examples: []};
    await change(targets, item, {
      dryRun: true, signal,
      told: done => howFar(`Trying what would happen: ${done.toLocaleString("en")} of ${targets.length.toLocaleString("en")}`, done, targets.length),
      each: (target, result) => sort(tried, target, result),
    });
    propose(item, targets, tried, cut);
  }, error => {
    if (kind !== "delete") show("choose");
    else if (error.name === "AbortError") $("#change").close();
    else outcome(el("p", {class: "trouble", role: "alert"}, said(error)), el("div", {class: "row"},
      el("button", {class: "first", onclick: preview}, "Look again"), closing("Close")));
  });
}

function sort(tried, target, result) {
  if (result.problem) { refuse(tried.refused, target, result.problem); return; }
  if (result.media && result.media.revision === target.revision) { tried.same += 1; return; }
  tried.changes.push(target);
  tried.bytes += target.size;
  if (tried.examples.length < EXAMPLES) tried.examples.push({pid: target.pid, shown: result.media ? what.shown(result.media) : size(target.size)});
}

function refuse(refused, target, problem) {
  if (!refused.has(problem.code)) refused.set(problem.code, []);
  refused.get(problem.code).push({pid: target.pid, detail: problem.detail});
}

// What would happen, and the button that makes it happen.
function propose(item, targets, tried, cut) {
  const number = tried.changes.length;
  const all = [...tried.refused.values()].reduce((sum, list) => sum + list.length, 0);
  const figures = [[`would be ${what.done}`, number.toLocaleString("en")], ["bytes", size(tried.bytes)], ["as they are already", tried.same], ["refused", all]];
  const typed = kind === "delete" && number >= MANY
    ? el("label", {}, `To be sure, type their number: ${number}`, el("input", {inputmode: "numeric", autocomplete: "off"})) : null;
  const wrong = el("p", {class: "trouble", role: "alert", hidden: true});
  const go = number && el("button", {class: what.danger ? "danger" : "first", onclick: () => {
    if (typed && $("input", typed).value.replace(/\D/g, "") !== String(number)) { trouble(wrong, `Type ${number} to delete so many records for good.`); $("input", typed).focus(); return; }
    perform(item, tried.changes);
  }}, `${what.yes} ${count(number, "record")}`);
  outcome(
    el("p", {}, number ? kind === "delete" ? "They go for good, and their bytes with them. Their PIDs are never given out again." : "Nothing is changed yet. This would happen:" : "Nothing would change."),
    el("dl", {class: "figures"}, ...figures.filter(([, value]) => value !== 0).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))),
    cut && el("p", {class: "caution"}, `More records match. These are the first ${MOST.toLocaleString("en")}; do it again for those that follow.`),
    tried.examples.length > 0 && el("ul", {}, ...tried.examples.map(each => el("li", {}, record(each.pid), el("span", {class: "note"}, " – ", ...visible(each.shown)))),
      number > tried.examples.length && el("li", {class: "note"}, `and ${(number - tried.examples.length).toLocaleString("en")} more`)),
    ...refusals(tried.refused),
    typed, wrong,
    el("div", {class: "row"}, go || null, closing(number ? "Cancel" : "Close")));
}

// In a page of its own, so that what is looked at here stays.
const record = pid => el("a", {href: `/records/${pathOf(pid)}`, target: "_blank", rel: "noopener"}, ...visible(pid));

function refusals(refused) {
  return [...refused].map(([code, list]) => el("details", {},
    el("summary", {}, refusal(code, list.length)),
    el("ul", {class: "long", tabindex: "0"}, ...list.slice(0, LISTED).map(each => el("li", {}, record(each.pid), el("span", {class: "note"}, ": ", ...visible(each.detail)))),
      list.length > LISTED && el("li", {class: "note"}, `and ${(list.length - LISTED).toLocaleString("en")} more`))));
}

async function perform(item, targets) {
  const refused = new Map();
  let done = 0, stopped = "";
  touched = true;
  await working(async signal => {
    howFar(`${what.yes} ${count(targets.length, "record")}…`, 0, targets.length);
    await change(targets, item, {
      dryRun: false, signal,
      told: so => howFar(`${so.toLocaleString("en")} of ${targets.length.toLocaleString("en")}`, so, targets.length),
      each: (target, result) => { if (result.problem) refuse(refused, target, result.problem); else done += 1; },
    });
  }, error => { stopped = error.name === "AbortError" ? "You stopped it." : `${said(error)} The last group may have come through all the same; going on finds out.`; });
  const failed = [...refused.values()].reduce((sum, list) => sum + list.length, 0);
  const left = targets.length - done - failed;
  outcome(
    el("p", {class: left || failed ? "caution" : "good-news"}, `${count(done, "record")} ${done === 1 ? "was" : "were"} ${what.done}.`,
      left > 0 && ` ${stopped} ${count(left, "record")} ${left === 1 ? "is" : "are"} left.`),
    ...refusals(refused),
    el("div", {class: "row"},
      left > 0 && el("button", {class: "first", onclick: () => perform(item, targets.slice(done + failed))}, `Go on with ${count(left, "record")}`),
      closing("Close", left > 0 ? "quiet" : "first")));
}

const closing = (text, style = "quiet") => el("button", {class: style, onclick: () => $("#change").close()}, text);

function outcome(...parts) {
  $("#outcome").replaceChildren(...parts.filter(part => part));
  show("outcome");
  $("#change-title").focus();
}

// One thing at a time, which can be stopped.
async function working(work, failed) {
  running = new AbortController();
  try {
    await work(running.signal);
  } catch (error) {
    if (error.name !== "AbortError") trouble($("#choose .trouble"), said(error));
    failed(error);
  } finally {
    running = null;
  }
}

async function closed() {
  running?.abort();
  if (!touched) return;
  clear();
  try { await refresh(); } catch { location.reload(); return; }
  counted();
  facets();
  news("The records are shown as they are now.");
  $("#results").focus({preventScroll: true});
}
