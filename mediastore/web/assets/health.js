// What each store answers when it is asked whether it is there.

import {$$} from "./dom.js";

let asked = 0;

// Fills in every `data-health`, which names a store. Stores that are away take a few seconds, in which the page may change.
export async function showHealth(within = document) {
  const mine = asked += 1;
  const places = () => $$("[data-health]", within);
  if (!places().length) return;
  const say = (place, kind, text) => { place.className = `state ${kind}`; place.textContent = text; };
  for (const place of places()) say(place, "", "asking …");
  try {
    const ready = await (await fetch("/health/ready", {cache: "no-store", credentials: "omit"})).json();
    if (mine !== asked) return;  // somebody asked since
    for (const place of places()) {
      const answer = ready.stores[place.dataset.health];
      if (answer === "ok") say(place, "good", "answers");
      else if (answer === undefined) say(place, "", "not known");
      else { say(place, "bad told", answer); }
    }
  } catch {
    if (mine !== asked) return;
    for (const place of places()) say(place, "bad", "the server does not answer");
  }
}
