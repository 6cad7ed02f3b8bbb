// Comparisons with the rows, and reading again what was not found well.

import {call, pathOf, said} from "./api.js";
import {$, attempt, confirm, el, news} from "./dom.js";
import {redraw} from "./redraw.js";
import {count} from "./told.js";

const store = $("[data-store]").dataset.store;
const path = `/stores/${pathOf(store)}`;
const POLL_MS = 1000;

async function compare(asked = {}) {
  const place = $("#compare-outcome");
  const bar = el("progress", {"aria-label": "How far the comparison is"});
  const words = el("p", {class: "hint"}, "Comparing what the store lists with its rows …");
  place.replaceChildren(words, bar);
  try {
    let report = await call("POST", `${path}/reconcile`, {body: asked});
    while (!report.ended_at) {
      const {listed, rows} = report.counts;
      words.textContent = report.began_at ? `Comparing: ${count(listed, "object")} and ${count(rows, "row")} seen so far …` : "Waiting for a worker that has time …";
      const most = Number($("#upkeep-state").dataset.objects);
      if (most) Object.assign(bar, {max: most, value: Math.min(rows, most)});
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
      report = (await call("GET", `${path}/reconciliations?limit=10`)).items.find(item => item.id === report.id) ?? report;
    }
    news(report.stopped_by ? "The comparison was stopped: its report says why." : "The store is compared.");
  } finally {
    place.replaceChildren();
  }
  await redraw("#upkeep-state", "#comparisons", "#finding-list");
}

const WORDS = {
  missing: {
    title: "Are so many objects missing indeed?", yes: "They are missing indeed", asked: {believe_missing: true},
    text: "What is not found after the usual asks is declared missing, and records whose content it was are lost. Look first whether this is the right bucket or disk: bytes that come back are found again.",
  },
  unknown: {
    title: "Are so many bytes nobody's indeed?", yes: "They are nobody's indeed", asked: {believe_unknown: true},
    text: "The store's policy may act on all of them, which removes or quarantines them where it says so. After the database was brought back from an older copy, they are the content of records that it has forgotten.",
  },
};

const deeds = {
  compare: () => compare(),
  "believe-missing": () => believe(WORDS.missing),
  "believe-unknown": () => believe(WORDS.unknown),
  async "read-again"(button) {
    const pid = button.closest("[data-pid]").dataset.pid;
    const shown = await call("POST", `/fixity/${pathOf(pid)}`);
    await redraw("#upkeep-state");
    news(shown.fixity === "ok" ? `${pid} is whole.` : `${pid}: ${shown.detail ?? shown.fixity}`);
  },
};

async function believe({title, text, yes, asked}) {
  if (await confirm({title, details: [el("p", {}, text)], yes, danger: true})) await compare(asked);
}

document.addEventListener("click", event => {
  const button = event.target.closest("#upkeep button[data-do]");
  if (button) attempt(() => deeds[button.dataset.do](button), {button, place: $("#upkeep-trouble"), said});
});
