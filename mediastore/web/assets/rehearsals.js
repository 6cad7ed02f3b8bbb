// What a sweep would remove, before it does: rehearse, tell, and have exactly that removed.

import {call, pathOf} from "./api.js";
import {confirm, el} from "./dom.js";
import {count, size} from "./told.js";

const POLL_MS = 1000;
const pause = () => new Promise(resolve => setTimeout(resolve, POLL_MS));

// A sweep to its end, told in `place` while it runs; its report.
async function conducted(store, asked, place, told) {
  const bar = el("progress", {"aria-label": told});
  const words = el("p", {class: "hint"}, `${told} …`);
  place.replaceChildren(words, bar);
  let report = await call("POST", `/stores/${pathOf(store)}/sweep`, {body: asked});
  const id = report.id;
  while (report.state === "running") {
    words.textContent = asked.dry_run ? `${told}: ${count(report.found, "record", "records")} so far …` : `${told}: ${count(report.removed, "record", "records")} removed so far …`;
    await pause();
    report = await call("GET", `/stores/${pathOf(store)}/sweeps/${id}`);
  }
  return report;
}

export const amount = report => `${count(report.found, "record or old version", "records and old versions")}, ${count(report.objects, "object")}, ${size(report.bytes)}`;

// Only says what would go; by `retention`, where that is given, in place of the store's policy.
export function rehearse(store, place, retention) {
  return conducted(store, {dry_run: true, ...(retention ? {retention} : {})}, place, "Looking for what is due");
}

// A rehearsal in words, with what can be done about it.
export function tell(store, report, place, {by = "This", carry = true} = {}) {
  const page = `/stores/${pathOf(store)}/sweeps/${report.id}`;
  const parts = [el("p", {class: report.found ? "caution" : "good-news"},
    report.found ? `${by} would remove ${amount(report)}: ` : `${by} would remove nothing.`, report.found ? el("a", {href: page}, "see them") : "", report.found ? "." : "")];
  if (report.held || report.exempt) parts.push(el("p", {class: "hint"}, `Kept: ${report.held.toLocaleString("en")} by holds, ${report.exempt.toLocaleString("en")} by exemptions.`));
  if (report.state === "failed") parts.unshift(el("p", {class: "trouble"}, `The rehearsal failed: ${report.detail}.`));
  if (report.stopped_by) {
    parts.push(el("p", {class: "caution"}, `The brake would stop a sweep on schedule (${report.stopped_by}). A sweep of exactly these is your word that it is right, and goes.`));
  }
  if (report.found && carry) {
    parts.push(el("div", {class: "row"}, el("button", {
      type: "button", class: "danger", "data-do": "carry-out", "data-rehearsal": report.id, "data-found": report.found, "data-objects": report.objects, "data-bytes": report.bytes,
    }, "Remove exactly these")));
  }
  place.replaceChildren(...parts);
}

// Removes what a rehearsal has listed and nothing else, when that is confirmed. Resolves with the report, or null.
export async function carryOut(store, button, place) {
  const {rehearsal, found, objects, bytes} = button.dataset;
  const sure = await confirm({
    title: `Remove ${count(Number(found), "record or old version", "records and old versions")} of ${store}?`,
    details: [
      el("p", {}, `${count(Number(objects), "object")}, ${size(Number(bytes))}. They can't be brought back. Nothing else goes: what was held, exempted or given more time since the rehearsal stays.`),
      el("p", {}, el("a", {href: `/stores/${pathOf(store)}/sweeps/${rehearsal}`, target: "_blank", rel: "noopener"}, "See them once more"), " (in a new tab)"),
    ],
    yes: "Remove them", danger: true,
  });
  if (!sure) return null;
  return ended(await conducted(store, {rehearsal: Number(rehearsal)}, place, "Removing"), place, store);
}

// A sweep without a rehearsal: by the policy, or past the brake.
export async function sweep(store, place, asked = {}) {
  return ended(await conducted(store, asked, place, "Sweeping"), place, store);
}

function ended(report, place, store) {
  const page = el("a", {href: `/stores/${pathOf(store)}/sweeps/${report.id}`}, "its report");
  const kind = report.state === "done" ? "good-news" : "trouble";
  const words = report.state === "stopped" ? `The brake stopped it before it removed anything: ${report.detail}` : report.state === "failed" ? `It failed: ${report.detail}`
    : `${count(report.removed, "record or old version", "records and old versions")} removed, ${size(report.bytes_freed)} freed${report.failed ? `; ${count(report.failed, "object")} the store did not let go of yet, which are tried again` : ""}`;
  place.replaceChildren(el("p", {class: kind}, `${words}: `, page, "."));
  return report;
}
