// The forms of a store: each is a part of its settings, saved by one PATCH.

import {call, pathOf, said} from "./api.js";
import {$, attempt, confirm, el, news} from "./dom.js";
import {read} from "./fields.js";
import {redraw} from "./redraw.js";
import {amount, rehearse, tell} from "./rehearsals.js";

const store = $("[data-store]").dataset.store;
const path = `/stores/${pathOf(store)}`;

const SHOWN = {
  retention: ["#retention-told", "#sweep-list"], quota: ["#usage-now"], upkeep: ["#upkeep-state"], "": ["#settings-told", "#state"],
};
const TOLD = {retention: "The policy", quota: "The quota", upkeep: "How it is looked after", "": "The settings"};

// What has to be known before it is saved. True to go on.
const ASKS = {
  async retention(form, retention) {
    const place = $("#policy-outcome");
    const foreseen = await rehearse(store, place, retention);
    tell(store, foreseen, place, {by: "With this policy, a sweep", carry: false});
    if (!foreseen.found) return true;
    return confirm({
      title: "Save this policy?",
      details: [
        el("p", {}, foreseen.stopped_by ? `${amount(foreseen)} would be due: so much that the brake will stop the next sweep and ask you.` : `The next sweep on schedule would remove ${amount(foreseen)}.`),
        el("p", {}, el("a", {href: `${path}/sweeps/${foreseen.id}`, target: "_blank", rel: "noopener"}, "See them"), " (in a new tab)"),
      ],
      yes: "Save the policy", danger: !foreseen.stopped_by,
    });
  },
  async upkeep(form, upkeep) {
    if (upkeep.unknown === "report" || form.elements.unknown.querySelector("[selected]")?.value === upkeep.unknown) return true;
    return confirm({
      title: upkeep.unknown === "remove" ? "Remove what no row names?" : "Quarantine what no row names?",
      details: [el("p", {}, "Bytes that a comparison finds and that no row names go when they have been known for the grace. Where somebody else keeps files at the same place, those are such bytes.")],
      yes: "Save", danger: true,
    });
  },
};

document.addEventListener("submit", async event => {
  const form = event.target.closest("form[data-part]");
  if (!form) return;
  event.preventDefault();
  const part = form.dataset.part;
  await attempt(async () => {
    const given = read(form);
    if (ASKS[part] && !await ASKS[part](form, given)) return;
    await call("PATCH", path, {body: part ? {[part]: given} : given});
    await redraw(...SHOWN[part]);
    news(`${TOLD[part]} of ${store} is saved.`);
    const outcome = part === "retention" && $("#policy-outcome");
    if (outcome) outcome.replaceChildren();
    form.closest("details").open = false;
    $("summary", form.closest("details")).focus();
  }, {button: $("button.first", form), place: $(".trouble", form), said});
  if (!$(".trouble", form).hidden) $("#policy-outcome", form)?.replaceChildren();
});

document.addEventListener("click", async event => {
  const button = event.target.closest('[data-do="rehearse-policy"]');
  if (!button) return;
  const form = button.closest("form");
  if (!form.reportValidity()) return;
  const place = $("#policy-outcome");
  const told = await attempt(async () => {
    tell(store, await rehearse(store, place, read(form)), place, {by: "With this policy, a sweep", carry: false});
    await redraw("#sweep-list");
    $("a", place)?.focus();
    return true;
  }, {button, place: $(".trouble", form), said});
  if (!told) place.replaceChildren();
});
