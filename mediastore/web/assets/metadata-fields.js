// The page of declared metadata fields: it shows how their indexes come along, declares and drops.

import {call, pathOf, said} from "./api.js";
import {ask, doing} from "./asking.js";
import {$, confirm, el, news, trouble} from "./dom.js";
import {keepDrawn, redraw} from "./redraw.js";

const EVERY_MS = 2000;

keepDrawn(["#list"], {
  every_ms: EVERY_MS,
  wanted: () => $("[data-state=building], [data-state=failed]") !== null && !$("dialog[open]"),
  failed: error => { if (error) trouble($("#trouble"), said(error)); },
});

doing({
  declare() {
    ask($("#declare"), async (fields, dialog) => {
      const [name, path] = [fields.name.value, fields.path.value.trim()];
      await call("POST", "/metadata-fields", {body: {name, path: path || null, type: fields.type.value, description: fields.description.value}});
      dialog.close();
      await redraw("#list");
      $(`[data-key="${CSS.escape(name)}"] button`).focus();
      news(`${name} is declared; its index is being built.`);
    });
  },
  async drop(button, row) {
    const name = row.dataset.key;
    const details = [el("p", {}, "Searches that name it are refused from then on, and its index goes. The metadata of records stays as it is.")];
    if (!await confirm({title: `Drop the field ${name}?`, details, yes: "Drop", danger: true})) return;
    await call("DELETE", `/metadata-fields/${pathOf(name)}`);
    await redraw("#list");
    $("[data-do=declare]").focus();
    news(`${name} is no declared field any more.`);
  },
}, $("#trouble"));
