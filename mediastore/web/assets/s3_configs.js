// S3 configs: create, change, delete. Keys go in and never come out.

import {call, pathOf, said} from "./api.js";
import {$, $$, attempt, confirm, el, news} from "./dom.js";
import {read} from "./fields.js";
import {redraw} from "./redraw.js";

const create = $("#create-form");
create.addEventListener("submit", async event => {
  event.preventDefault();
  await attempt(async () => {
    const made = await call("POST", "/s3-configs", {body: read(create)});
    create.reset();
    await redraw("#configs");
    $("#create").open = false;
    news(`The S3 config ${made.name} is created.`);
    show(made.name);
  }, {button: $("button.first", create), place: $(".trouble", create), said});
});

document.addEventListener("change", event => {
  if (event.target.name !== "keys") return;
  const keys = $("[data-when-keys]", event.target.form);
  keys.hidden = event.target.value !== "new";
  for (const field of $$("input", keys)) field.required = !keys.hidden;
  if (!keys.hidden) $("input", keys).focus();
});

document.addEventListener("submit", async event => {
  const form = event.target.closest("form[data-change]");
  if (!form) return;
  event.preventDefault();
  const name = form.dataset.change;
  await attempt(async () => {
    const body = read(form);  // with keys where they are replaced; left out, they stay
    if (form.elements.keys.value === "none") Object.assign(body, {access_key: null, secret_key: null});
    await call("PUT", `/s3-configs/${pathOf(name)}`, {body});
    await redraw("#configs");
    $("details", document.getElementById(name)).open = false;
    news(`The S3 config ${name} is changed.`);
    show(name);
  }, {button: $("button.first", form), place: $(".trouble", form), said});
});

document.addEventListener("click", async event => {
  const button = event.target.closest('button[data-do="delete"]');
  if (!button) return;
  const card = button.closest("[data-config]");
  const name = card.dataset.config;
  const sure = await confirm({
    title: `Delete the S3 config ${name}?`,
    details: [el("p", {}, "Its keys are forgotten. One that stores use is not deleted.")], yes: "Delete it", danger: true,
  });
  if (!sure) return;
  await attempt(async () => {
    await call("DELETE", `/s3-configs/${pathOf(name)}`);
    await redraw("#configs");
    news(`The S3 config ${name} is deleted.`);
    $("#main").focus();
  }, {button, place: $("[data-trouble]", card), said});
});

const show = name => $("summary", document.getElementById(name)).focus();
