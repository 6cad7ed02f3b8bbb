// What happened to a record, newest first, each change told by what was before and what after.

import {loggedIn, said, send} from "./api.js";
import {$, attempt, el, trouble} from "./dom.js";
import {differences, pathText} from "./json_changes.js";
import {parse} from "./json_text.js";
import {differenceLine} from "./metadata_told.js";
import {record} from "./record_page.js";
import {moment, visible} from "./told.js";

const AT_ONCE = 20;
const MOST_LINES = 30;
const DONE = {
  created: "created it", changed: "changed it", deleted: "deleted it", held: "held it", hold_lifted: "lifted a hold", failed: "gave up an upload",
  url_issued: "got a signed URL", read: "downloaded it", content: "gave it content", older_content: "gave it content that others had overtaken",
  registered: "registered its content, where it lay", adopted: "gave it content that was found in its store",
};

const place = $("#events");
if (place && loggedIn) begin();

function begin() {
  const list = el("ol", {class: "events"});
  const wrong = el("p", {class: "trouble", role: "alert", hidden: true});
  const older = el("button", {onclick: () => attempt(() => more(), {button: older, place: wrong, said})}, "Older");
  const reads = el("input", {type: "checkbox", onchange: () => again()});
  let cursor = null;
  let asked = 0;

  async function more() {
    const mine = asked += 1;
    const query = new URLSearchParams({kind: "media", subject: record.pid, limit: AT_ONCE, reads: reads.checked, ...cursor ? {cursor} : {}});
    const page = parse(await (await send("GET", `/events?${query}`)).text());
    if (mine !== asked) return;  // asked for anew meanwhile
    if (!cursor) list.replaceChildren();
    list.append(...page.members.get("items").items.map(event));
    cursor = page.members.get("next").text ?? null;
    older.hidden = cursor === null;
  }
  function again() {
    cursor = null;
    trouble(wrong);
    attempt(() => more(), {place: wrong, said});
  }

  place.replaceChildren(el("label", {class: "inline"}, reads, " Also downloads"), list, wrong, el("div", {class: "row"}, older));
  older.hidden = true;
  again();
  document.addEventListener("fresh", again);
}

function event(told) {
  const field = name => told.members.get(name)?.text ?? "";
  const changes = lines(told.members.get("changes"));
  return el("li", {},
    el("p", {class: "happened"}, el("bdi", {}, el("strong", {}, ...visible(field("actor")))), ` ${DONE[field("action")] ?? field("action").replaceAll("_", " ")} `,
      el("time", {datetime: field("at"), title: field("at"), class: "hint"}, moment(field("at"))),
      field("revision") && el("span", {class: "hint"}, `, revision ${field("revision")}`)),
    changes.length > 0 && el("ul", {class: "differences"}, changes.slice(0, MOST_LINES).map(line => el("li", {}, lineOf(line)))),
    changes.length > MOST_LINES && el("details", {}, el("summary", {}, `${changes.length - MOST_LINES} more`),
      el("ul", {class: "differences"}, changes.slice(MOST_LINES).map(line => el("li", {}, lineOf(line))))));
}

// The members of a record are known by their names: metadata.ctd.depth.
const lineOf = line => differenceLine(line, pathText(line.path).replace(/^\$\.?/, ""));

// Each member by its name, what is nested by its path.
function lines(changes) {
  const nothing = value => value === undefined || value.kind === "null" ? undefined : value;
  return [...changes?.members ?? []].flatMap(([name, change]) =>
    differences(nothing(change.members?.get("before")), nothing(change.members?.get("after")), {items: true, path: [name]}));
}
