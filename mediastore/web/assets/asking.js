// Buttons that do things, by their `data-do`, and dialogs whose form asks for what is needed.

import {said} from "./api.js";
import {$, $$, attempt, trouble} from "./dom.js";

// `does`: by name, what is done, given the button and the row that it stands in. What fails is told in `place`.
export function doing(does, place) {
  const all = {close: button => button.closest("dialog").close(), ...does};
  document.addEventListener("click", event => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const menu = button.closest("details.menu");
    if (menu) menu.open = false;
    attempt(async () => all[button.dataset.do](button, button.closest("[data-key]")), {button, place, said});
  });
}

// Opens a dialog with its form empty, and gives `work` the form's fields when it is sent. It stays open, with what was typed, when that fails.
// `who`: whom or what it is about, for elements with `data-who`.
export function ask(dialog, work, {who = ""} = {}) {
  const form = $("form", dialog);
  form.reset();
  trouble($("[role=alert]", form));
  for (const place of $$("[data-who]", dialog)) place.textContent = who;
  form.onsubmit = event => {
    event.preventDefault();
    attempt(() => work(form.elements, dialog), {button: event.submitter, place: $("[role=alert]", form), said});
  };
  dialog.showModal();
  form.querySelector("input:not([hidden]), select").focus();
  return form;
}
