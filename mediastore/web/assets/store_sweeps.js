// Sweeps and rehearsals: on the page of a store, and on that of a single one.

import {said} from "./api.js";
import {$, confirm, el, news} from "./dom.js";
import {redraw} from "./redraw.js";
import {carryOut, rehearse, sweep, tell} from "./rehearsals.js";
import {count} from "./told.js";

const store = $("[data-store]").dataset.store;
const parts = ["#brake", "#sweep-list", "#usage-now"];

// What has changed by a sweep, as far as this page shows it.
const shown = () => redraw(...parts.filter(part => $(part)));

const failed = place => error => { place.replaceChildren(el("p", {class: "trouble", role: "alert"}, said(error))); };

const deeds = {
  async rehearse(button) {
    const place = document.getElementById(button.dataset.tell);
    tell(store, await rehearse(store, place), place, {by: "A sweep"});
    await redraw("#sweep-list");
    ($("a, button", place) ?? button).focus();
  },
  async sweep(_, place) {
    const foreseen = await rehearse(store, place);
    if (!foreseen.found) return tell(store, foreseen, place, {by: "A sweep"});
    tell(store, foreseen, place, {by: "A sweep"});
    $("[data-do=carry-out]", place).click();  // which asks first
    return null;
  },
  async "carry-out"(button, place) {
    const report = await carryOut(store, button, place);
    if (!report) return;
    await shown();
    news(`The sweep has ended: ${count(report.removed, "record or old version", "records and old versions")} removed.`);
  },
  async release(_, place) {
    const sure = await confirm({
      title: `Sweep ${store} without a limit?`,
      details: [el("p", {}, "All that is due goes, however much that is, and can't be brought back. A rehearsal would show you what; this does not ask again.")],
      yes: "Sweep without a limit", danger: true,
    });
    if (!sure) return;
    await sweep(store, place, {release_brake: true});
    await shown();
  },
};

document.addEventListener("click", async event => {
  const button = event.target.closest("button[data-do]");
  const deed = button && deeds[button.dataset.do];
  if (!deed) return;
  const place = button.closest("#policy-outcome") ?? document.getElementById(button.dataset.tell ?? "sweep-outcome") ?? $("#sweep-outcome");
  button.disabled = true;
  try {
    await deed(button, place);
  } catch (error) {
    failed(place)(error);
  } finally {
    button.disabled = false;
  }
});

