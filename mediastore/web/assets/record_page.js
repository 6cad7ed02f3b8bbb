// The record of the page as it was last seen, changes of it, and the page's parts drawn anew by the server.

import {Refused, call, pathOf} from "./api.js";
import {$, $$, given} from "./dom.js";

export let record = given("record");
export const path = kind => `/${kind}/${pathOf(record.pid)}`;

// Draws again what is marked by data-fresh. What somebody is typing stands elsewhere and stays.
export async function refresh() {
  const answer = await fetch(location.pathname, {headers: {Accept: "text/html"}, cache: "no-store"});
  if (!answer.ok) { location.reload(); return; }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.closest("[data-fresh]")?.id;
  for (const part of $$("[data-fresh]")) {
    const other = fresh.getElementById(part.id);
    if (other) part.replaceWith(other); else part.remove();
  }
  record = given("record");
  if (focused) $("[tabindex='-1']", document.getElementById(focused) ?? document.body)?.focus();
  document.dispatchEvent(new CustomEvent("fresh", {detail: {metadata: fresh.getElementById("metadata-text").textContent}}));
}

// Changes these members of the record, if they are what the page shows. What somebody else changed meanwhile is told, and
// the same asked for again goes over it.
export async function change(body, members) {
  for (;;) {
    try {
      return await call("PATCH", path("media"), {body, headers: {"If-Match": `"${record.revision}"`}});
    } catch (error) {
      if (error.status !== 412) throw error;
      const now = await call("GET", path("media"));
      const others = members.filter(name => JSON.stringify(now[name]) !== JSON.stringify(record[name]));
      record = {...record, revision: now.revision, ...Object.fromEntries(members.map(name => [name, now[name]]))};
      if (others.length) throw new Refused(412, {code: "revision_mismatch", detail: overtaken(others, now)});
    }
  }
}

function overtaken(names, now) {
  const told = names.map(name => `${name} is now ${JSON.stringify(now[name])}`).join(", ");
  return `somebody else changed this meanwhile: ${told}. What you typed is still here; save it again to have it so`;
}
