// Text into the clipboard, and a word about it.

import {news} from "./dom.js";

const TOLD_MS = 2000;

export async function copyFrom(place, button) {
  const copied = await put(place);
  if (!copied) { news("Your browser keeps the clipboard to itself: the text is selected, copy it by keyboard."); return; }
  const name = button.textContent;
  button.textContent = "Copied";
  news("Copied.");
  setTimeout(() => { button.textContent = name; }, TOLD_MS);
}

async function put(place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    return true;
  } catch {  // not over https, or not allowed
    getSelection().selectAllChildren(place);
    return document.execCommand("copy");
  }
}
