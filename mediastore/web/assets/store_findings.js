// What becomes of what a comparison found: one by one, or many at once.

import {call, pathOf, said} from "./api.js";
import {$, $$, attempt, confirm, el, news, trouble} from "./dom.js";
import {redraw} from "./redraw.js";
import {count, size, visible} from "./told.js";

const store = $("[data-store]").dataset.store;
const place = $("#findings-trouble");
const decide = (id, decision, pid) => call("POST", `/stores/${pathOf(store)}/findings/${id}`, {body: {decision, ...(pid ? {pid} : {})}});

const WILL = {
  remove: "The bytes are removed and can't be brought back.",
  quarantine: "The bytes stay for the time of the quarantine, and go when it ends.",
  abort: "The parts that were sent so far are removed.",
};
const DONE = {remove: "removed", quarantine: "quarantined", abort: "aborted", adopt: "adopted"};

async function sure(decision, rows) {
  const bytes = rows.reduce((sum, row) => sum + Number(row.dataset.size), 0);
  const verb = decision.charAt(0).toUpperCase() + decision.slice(1);
  const keys = rows.slice(0, 10).map(row => el("li", {class: "mono"}, ...visible(row.dataset.nameOf)));
  return confirm({
    title: `${verb} ${count(rows.length, "finding")}${bytes ? `, ${size(bytes)}` : ""}?`,
    details: [el("p", {}, WILL[decision]), el("ul", {}, keys), rows.length > 10 ? el("p", {class: "hint"}, `and ${rows.length - 10} more`) : ""],
    yes: verb, danger: true,
  });
}

// One after the other; what fails does not keep the others.
async function decideAll(decision, rows) {
  const bar = el("progress", {max: rows.length, value: 0, "aria-label": "How many are done"});
  $("#many-progress").replaceChildren(bar);
  const failed = [];
  for (const row of rows) {
    try { await decide(row.dataset.finding, decision); } catch (error) { failed.push(`${row.dataset.nameOf}: ${said(error)}`); }
    bar.value += 1;
  }
  $("#many-progress").replaceChildren();
  await redraw("#finding-list", "#upkeep-state");
  news(`${count(rows.length - failed.length, "finding")} ${DONE[decision]}.`);
  if (failed.length) trouble(place, `${count(failed.length, "finding")} could not be decided. ${failed.slice(0, 3).join(" ")}`);
  $("#findings-title").setAttribute("tabindex", "-1");
  $("#findings-title").focus();
}

// Asks for the PID; the dialog stays open, with what was typed, until it is done or given up.
function adopt(row) {
  const dialog = $("#adopt");
  const form = $("form", dialog);
  $("[data-key-of]", dialog).replaceChildren(...visible(row.dataset.nameOf));
  form.elements.pid.value = "";
  trouble($(".trouble", form));
  const submit = event => {
    if (event.submitter?.value === "cancel") return;
    event.preventDefault();
    const pid = form.elements.pid.value.trim();
    attempt(async () => {
      const finding = await decide(row.dataset.finding, "adopt", pid);
      dialog.close();
      await redraw("#finding-list", "#upkeep-state");
      news(finding.done_at ? `The bytes are the newest version of ${pid}.` : `The bytes are read, and become the newest version of ${pid} then.`);
    }, {button: $("button.first", form), place: $(".trouble", form), said});
  };
  form.addEventListener("submit", submit);
  dialog.addEventListener("close", () => form.removeEventListener("submit", submit), {once: true});
  dialog.showModal();
}

const list = $("#findings");
list.addEventListener("click", async event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.decide === "adopt") return adopt(button.closest("[data-finding]"));
  const decision = button.dataset.decide ?? button.dataset.many;
  const rows = button.dataset.many ? chosen(decision) : [button.closest("[data-finding]")];
  trouble(place);
  if (!rows.length) return trouble(place, `Choose first ${decision === "abort" ? "uploads of nobody" : "bytes of nobody"} in the list.`);
  if (await sure(decision, rows)) await attempt(() => decideAll(decision, rows), {button, place, said});
});
list.addEventListener("change", event => {
  if (event.target.id === "all-findings") for (const box of $$("[name=finding]", list)) box.checked = event.target.checked;
});

const chosen = decision => $$("[name=finding]:checked", list).map(box => box.closest("[data-finding]"))
  .filter(row => (row.dataset.what === "unknown_upload") === (decision === "abort"));
