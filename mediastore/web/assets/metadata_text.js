// A branch of metadata, or all of it, as JSON text in a dialog.

import {el, trouble} from "./dom.js";
import {JsonTrouble, parse, write} from "./json_text.js";

// Resolves with what the text says, or with undefined. `object`: nothing but an object will do.
export function editAsText({value, name, object}) {
  return new Promise(resolve => {
    const text = el("textarea", {id: "json-text", class: "mono", rows: 18, spellcheck: "false", "aria-describedby": "json-trouble"});
    text.value = write(value, 2);
    const wrong = el("p", {id: "json-trouble", class: "trouble", role: "alert", hidden: true});
    const form = el("form", {method: "dialog"},
      el("h2", {id: "json-title"}, `${name} as JSON`), el("label", {for: "json-text", class: "visually-hidden"}, "JSON"), text, wrong,
      el("div", {class: "row"}, el("button", {class: "first", value: "done"}, "Done"), el("button", {class: "quiet", type: "button", onclick: () => dialog.close("")}, "Cancel")));
    const dialog = el("dialog", {class: "wide", "aria-labelledby": "json-title"}, form);
    let made;
    form.addEventListener("submit", event => {
      event.preventDefault();
      try {
        made = parse(text.value);
        if (object && made.kind !== "object") throw new JsonTrouble('metadata is an object, such as {"depth": 12.5}', text.value, 0);
        dialog.close("done");
      } catch (error) {
        if (!(error instanceof JsonTrouble)) throw error;
        made = undefined;
        trouble(wrong, error.message);
        text.setAttribute("aria-invalid", "true");
        text.focus();
        text.setSelectionRange(error.at, Math.min(error.at + 1, text.value.length));
      }
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "done" ? made : undefined); });
    document.body.append(dialog);
    dialog.showModal();
    text.setSelectionRange(0, 0);
  });
}
