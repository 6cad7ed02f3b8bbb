// How many records match: asked once the table is there, for counting a million of them takes its time.

import {call} from "./api.js";
import {$, given} from "./dom.js";
import {count as counted} from "./told.js";

let found = null;

// {value, exact}, or null where it is not known.
export const total = () => found;

export async function count() {
  const line = $("#count");
  const search = given("search");
  if (search.cursor) return;
  const shown = document.querySelectorAll("#rows > tr").length;
  try {
    found = $("#more").hidden ? {value: shown, exact: true} : (await call("POST", "/media/search", {body: {...search, limit: 1, count: true}})).count;
    line.textContent = found.exact ? counted(found.value, "record") : `About ${counted(rounded(found.value), "record")}`;
  } catch {
    found = null;
    line.textContent = `More than ${counted(shown, "record")}; too many to count`;
  }
  document.dispatchEvent(new CustomEvent("counted"));
}

// An estimate looks no more exact than it is.
const rounded = number => Number(Math.max(number, 1).toPrecision(2));
