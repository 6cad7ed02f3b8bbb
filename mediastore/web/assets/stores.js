// The list of stores: create, switch on and off, delete.

import {call, pathOf, said} from "./api.js";
import {$, $$, attempt, confirm, el, news, trouble} from "./dom.js";
import {read} from "./fields.js";
import {showHealth} from "./health.js";
import {redraw} from "./redraw.js";

showHealth();

// Fields that the chosen kind of store has. Of a kind that a plug-in brings, all.
const form = $("#create-form");
const kinds = form.elements.kind;
function fit() {
  const kind = ["s3", "filesystem", "memory"].includes(kinds.value) ? kinds.value : "other";
  for (const part of $$("[data-kinds]", form)) part.hidden = !part.dataset.kinds.split(" ").includes(kind);
  form.elements.bucket.required = kind === "s3";
}
kinds.addEventListener("change", fit);
fit();
if (location.hash === "#create") $("#create").open = true;

form.addEventListener("submit", async event => {
  event.preventDefault();
  const made = await attempt(async () => call("POST", "/stores", {body: read(form)}), {button: $("button.first", form), place: $(".trouble", form), said});
  if (made) location.assign(`/stores/${pathOf(made.name)}`);
});

const OFF = "It gives and takes no bytes until it is switched on again: downloads from it and uploads to it fail meanwhile. Nothing is lost.";
const asks = {
  disable: name => confirm({title: `Switch ${name} off?`, details: [el("p", {}, OFF)], yes: "Switch it off", danger: true}),
  enable: async () => true,
  delete: name => confirm({
    title: `Delete the store ${name}?`,
    details: [el("p", {}, "Its settings and the reports of its sweeps and comparisons go. The place itself is left as it is. A store that records depend on is not deleted: the answer tells how many they are.")],
    yes: "Delete it", danger: true,
  }),
};
const does = {
  disable: name => call("PATCH", `/stores/${pathOf(name)}`, {body: {enabled: false}}),
  enable: name => call("PATCH", `/stores/${pathOf(name)}`, {body: {enabled: true}}),
  delete: name => call("DELETE", `/stores/${pathOf(name)}`),
};
const tells = {disable: name => `${name} is switched off.`, enable: name => `${name} is switched on.`, delete: name => `${name} is deleted.`};

document.addEventListener("click", async event => {
  const button = event.target.closest("#stores button[data-do]");
  if (!button) return;
  const name = button.closest("[data-store]").dataset.store;
  const what = button.dataset.do;
  const place = $("#stores-trouble");
  trouble(place);
  if (!await asks[what](name)) return;
  await attempt(async () => {
    await does[what](name);
    await redraw("#stores");
    news(tells[what](name));
    showHealth();
    ($(`[data-store="${CSS.escape(name)}"] button`) ?? $("#main")).focus();
  }, {button, place, said});
});
