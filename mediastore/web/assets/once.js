// Secrets that are shown once, and made here: passwords.

import {copyFrom} from "./copying.js";
import {el} from "./dom.js";

const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";  // none that is taken for another

// 20 letters by the browser's own source of chance, in groups that can be read out: 116 bits.
export function newPassword() {
  const letters = [];
  while (letters.length < 20) {
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) {
      if (byte < 4 * LETTERS.length) letters.push(LETTERS[byte % LETTERS.length]);  // those beyond would favour some
    }
  }
  return letters.slice(0, 20).join("").replace(/.{5}(?=.)/g, "$&-");
}

// A dialog with things to copy, `[{name, text}]`; it goes by its button alone, so that no stray key takes it away. Resolves when it does.
export function showOnce({title, note, things}) {
  return new Promise(resolve => {
    const dialog = el("dialog", {"aria-labelledby": "once-title", class: "once"},
      el("h2", {id: "once-title"}, title), el("p", {class: "caution"}, note), ...things.map(copied),
      el("form", {method: "dialog", class: "row"}, el("button", {class: "first"}, "I have kept it")));
    dialog.addEventListener("cancel", event => event.preventDefault());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function copied({name, text}) {
  const place = el("code", {}, text);
  const word = el("span", {}, "Copy");
  return el("div", {class: "to-copy"}, el("h3", {}, name),
    el("div", {}, el("pre", {}, place),
      el("button", {type: "button", onclick: () => copyFrom(place, word)}, word, " ", el("span", {class: "visually-hidden"}, name))));
}
