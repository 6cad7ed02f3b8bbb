// The table: pages of it are appended, where they are asked for, and are there again when somebody comes back to it.

import {Away, said, tokenNow} from "./api.js";
import {$, $$, attempt, news} from "./dom.js";
import {count} from "./told.js";

const MOST_PAGES = 40;
let pages = 1;

// The rows that the server draws at this address, and the address of those that follow.
async function drawn(href) {
  let page = await read(href);
  if (page.body.dataset.user !== document.body.dataset.user) {  // the session has ended meanwhile
    await tokenNow(true);
    page = await read(href);
  }
  const trouble = page.querySelector("main .trouble[role=alert]:not([hidden])");
  if (trouble) throw new Error(trouble.textContent);
  return {rows: [...page.querySelectorAll("#rows > tr")].map(row => document.importNode(row, true)), next: page.querySelector("#more:not([hidden])")?.getAttribute("href") ?? null};
}

async function read(href) {
  let answer;
  try { answer = await fetch(href, {cache: "no-store"}); } catch { throw new Away(); }
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function goesOn(next) {
  const more = $("#more");
  more.hidden = next === null;
  if (next !== null) more.setAttribute("href", next);
}

// Told to whoever listens for rows that have come or gone.
const changed = () => document.dispatchEvent(new CustomEvent("rows"));

async function append() {
  const {rows, next} = await drawn($("#more").getAttribute("href"));
  $("#rows").append(...rows);
  goesOn(next);
  pages += 1;
  changed();
  return rows;
}

// The pages that are shown, anew. Throws where there is nothing to show any more.
export async function refresh() {
  const wanted = pages;
  const {rows, next} = await drawn(location.href);
  if (rows.length === 0) throw new Error("nothing is left");
  $("#rows").replaceChildren(...rows);
  goesOn(next);
  pages = 1;
  while (pages < wanted && !$("#more").hidden) await append();
  changed();
}

export function results() {
  const more = $("#more");
  more?.addEventListener("click", event => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (more.getAttribute("aria-disabled") === "true") return;
    more.setAttribute("aria-disabled", "true");
    attempt(async () => {
      const rows = await append();
      rows[0]?.querySelector("a.pid").focus({preventScroll: true});
      news(`${count(rows.length, "more record")}, ${count($$("#rows > tr").length, "record")} in all.`);
    }, {place: $("#more-trouble"), said}).finally(() => more.removeAttribute("aria-disabled"));
  });
  addEventListener("pagehide", () => history.replaceState({...history.state, pages, at: scrollY}, ""));
}

// Coming back, the same rows are there, and the same place among them.
export async function restore() {
  const before = history.state;
  const way = performance.getEntriesByType("navigation")[0]?.type;
  if (way !== "back_forward" || !(before?.pages > 1)) return;
  try {
    while (pages < Math.min(before.pages, MOST_PAGES) && !$("#more").hidden) await append();
    scrollTo({top: before.at});
  } catch { /* what is there can be gone through again */ }
}
