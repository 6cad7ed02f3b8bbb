// The head of a store's page: its state, the probe, switching it off and on, deleting it.

import {call, pathOf, said} from "./api.js";
import {$, attempt, confirm, el, news} from "./dom.js";
import {showHealth} from "./health.js";
import {redraw} from "./redraw.js";

const name = $("[data-store]").dataset.store;
const path = `/stores/${pathOf(name)}`;
const place = $("#head-trouble");

showHealth();
showCount();

async function showCount() {
  try {
    const found = await call("GET", `/media?store=${encodeURIComponent(name)}&limit=1&count=true`);
    $("[data-count]").textContent = `${found.count.exact ? "" : "about "}${found.count.value.toLocaleString("en")} found`;
  } catch { /* the link finds them all the same */ }
}

const STEPS = {
  open: "The store is reached", write: "An object is written", head: "Its size and time are asked for", read: "It is read back as it was", list: "It is in the listing",
  delete: "It is deleted", gone: "It is gone", cors: "Pages of our origins may send to it by themselves",
};
const FEATURES = {
  presigned: "clients send and fetch straight, by signed URLs", multipart: "in parts too", create_if_absent: "a key is never overwritten",
};

$("#probe").addEventListener("click", event => attempt(async () => {
  const report = $("#probe-report");
  report.replaceChildren(el("p", {class: "hint"}, "Writing, reading and deleting one small object …"));
  try {
    const probe = await call("POST", `${path}/probe`);
    const can = Object.entries(FEATURES).filter(([key]) => probe.features[key]).map(([, words]) => words);
    report.replaceChildren(
      el("p", {class: probe.ok ? "good-news" : "trouble"}, probe.ok ? `${name} does all that is asked of it.` : `${name} is not as it should be: the step that failed says why.`),
      el("ol", {class: "steps"}, probe.steps.map(step => el("li", {}, el("span", {class: `state ${step.ok ? "good" : "bad"}`}, step.ok ? "yes" : "no"),
        ` ${STEPS[step.step]} `, el("span", {class: "hint"}, `${Math.round(step.ms)} ms`), step.detail && el("p", {}, step.detail)))),
      can.length ? el("p", {class: "hint"}, `Here ${can.join("; ")}.`) : "");
  } catch (error) {
    report.replaceChildren();
    throw error;
  }
}, {button: event.currentTarget, place, said}));

const OFF = "It gives and takes no bytes until it is switched on again: downloads from it and uploads to it fail meanwhile. Nothing is lost.";
const deeds = {
  disable: {
    sure: () => confirm({title: `Switch ${name} off?`, details: [el("p", {}, OFF)], yes: "Switch it off", danger: true}),
    work: () => call("PATCH", path, {body: {enabled: false}}), told: "is switched off",
  },
  enable: {sure: async () => true, work: () => call("PATCH", path, {body: {enabled: true}}), told: "is switched on"},
  delete: {
    sure: () => confirm({
      title: `Delete the store ${name}?`,
      details: [el("p", {}, "Its settings and the reports of its sweeps and comparisons go. The place itself is left as it is. A store that records depend on is not deleted: the answer tells how many they are.")],
      yes: "Delete it", danger: true,
    }),
    work: () => call("DELETE", path), told: "is deleted",
  },
};

$("#head").addEventListener("click", async event => {
  const button = event.target.closest("[data-do]");
  const deed = button && deeds[button.dataset.do];
  if (!deed || !await deed.sure()) return;
  await attempt(async () => {
    await deed.work();
    if (deed === deeds.delete) return location.assign("/stores");
    await redraw("#head", "#state");
    news(`${name} ${deed.told}.`);
    showHealth();
    showCount();
  }, {button, place, said});
});
