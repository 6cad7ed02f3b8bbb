// Which values the records that match have, at the side; each is a way to narrow the search.

import {call, Refused} from "./api.js";
import {$, el, given} from "./dom.js";
import {visible} from "./told.js";

const NAMES = {tags: "Tags", store: "Store", media_type: "Type", owner: "Owner", status: "Status"};
const LISTS = {tags: "tag", store: "store", media_type: "media_type", owner: "owner", status: "status"};
const MOST_FACETS = 10;
const SHOWN = 12;

export async function facets() {
  const place = $("#facets");
  const search = given("search");
  const names = [...Object.keys(NAMES), ...given("fields")].slice(0, MOST_FACETS);
  let found;
  try {
    found = (await call("POST", "/media/search", {body: {...search, cursor: null, limit: 1, facets: names, facet_limit: SHOWN}})).facets;
  } catch (error) {
    if (!(error instanceof Refused)) return;
    place.replaceChildren(el("p", {class: "hint"}, error.code === "search_too_slow"
      ? "These are too many records to count their tags, owners and types. Narrow the search, and they are counted."
      : error.message));
    place.hidden = false;
    return;
  }
  // Of a measured number each value is there about once, and narrows nothing.
  const tells = name => found[name].some(({value, count}) => value !== null && (name in NAMES || count > 1));
  const parts = names.filter(name => tells(name) || chosen(name)).map(name => facet(name, found[name]));
  place.replaceChildren(...parts);
  place.hidden = parts.length === 0;
}

const parameter = name => LISTS[name] ?? `is.${name}`;
const chosen = name => given("asked").some(([key]) => key === parameter(name));

function facet(name, values) {
  const open = innerWidth > 960 || chosen(name);  // at the side, and not above the table
  return el("details", {open},
    el("summary", {}, NAMES[name] ?? name),
    el("ul", {}, ...values.map(({value, count}) => {
      const many = el("span", {class: "many"}, count.toLocaleString("en"));
      if (value === null) return el("li", {}, el("span", {class: "none note"}, el("span", {}, "none"), many));
      const [href, on] = narrowed(name, String(value));
      return el("li", {}, el("a", {href, "aria-current": on ? "true" : null, title: on ? "Remove this filter" : null}, el("span", {}, ...visible(String(value))), many));
    })));
}

// The address of the search with this value, or without it where it has it. Of tags a record has several, of others one.
function narrowed(name, value) {
  const key = parameter(name);
  const asked = given("asked").filter(([other]) => other !== "cursor");
  const on = asked.some(pair => pair[0] === key && pair[1] === value);
  const kept = asked.filter(pair => pair[0] !== key || (key === "tag" && pair[1] !== value));
  const query = new URLSearchParams((on ? kept : [...kept, [key, value]]).map(([other, text]) => [other, other in LISTED ? written(text) : text]));
  return [`/?${query}`, on];
}

const LISTED = {...Object.fromEntries(Object.values(LISTS).map(key => [key, true])), any_tag: true, no_tag: true};

// One value as part of a list.
const written = text => /[,"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
