// The page of jobs: it keeps itself up to date, and has jobs tried again or dropped.

import {Refused, call, said} from "./api.js";
import {doing} from "./asking.js";
import {$, $$, confirm, el, news, trouble} from "./dom.js";
import {keepDrawn, redraw} from "./redraw.js";
import {count} from "./told.js";

const EVERY_MS = 5000;
const DRAWN = ["#counts", "#list", "#as-of"];

keepDrawn(DRAWN, {
  every_ms: EVERY_MS,
  wanted: () => $("#keep").checked && !$("dialog[open]"),
  failed: error => trouble($("#stale"), error ? `This page is not up to date. ${said(error)}` : ""),
});

async function drawnAgain(row) {
  const after = row.nextElementSibling ?? row.previousElementSibling;
  await redraw(...DRAWN);
  const here = row.isConnected ? row : after?.isConnected ? after : null;
  ((here && $("button", here)) ?? $("#keep")).focus();
}

doing({
  async retry(button, row) {
    await call("POST", `/jobs/${row.dataset.key}/retry`);
    await drawnAgain(row);
    news(`Job ${row.dataset.key} is done as soon as a worker is free.`);
  },
  async retry_all() {
    const ids = $$("#list [data-key]").map(row => row.dataset.key);
    const details = [el("p", {}, "Those whose cause is not mended fail again, and come back here.")];
    if (!await confirm({title: `Try ${count(ids.length, "job")} again?`, details, yes: "Try again"})) return;
    let done = 0;
    const refused = [];
    for (const id of ids) {
      try {
        await call("POST", `/jobs/${id}/retry`);
        done += 1;
      } catch (error) {
        if (!(error instanceof Refused) || error.status === 401) throw error;
        refused.push(error.message);
      }
    }
    await redraw(...DRAWN);
    $("#keep").focus();
    news(`${count(done, "job")} wait to be done again.`);
    if (refused.length) trouble($("#trouble"), refused.join(" "));
  },
  async drop(button, row) {
    const id = row.dataset.key;
    const details = [el("p", {}, "What it was to do is not done, and nothing does it later."), el("pre", {}, el("code", {}, $("code.told", row).textContent))];
    if (!await confirm({title: `Drop job ${id}?`, details, yes: "Drop", danger: true})) return;
    await call("DELETE", `/jobs/${id}`);
    await drawnAgain(row);
    news(`Job ${id} is dropped.`);
  },
}, $("#trouble"));
