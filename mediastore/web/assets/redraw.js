// Parts of a page, drawn anew by the server and put in the place of the old: focus, scroll and what is open stay as they are.

import {Away, Refused} from "./api.js";
import {$} from "./dom.js";

const keyOf = node => node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id : "";

// Asks for the page as it is now, and takes these elements of it over.
export async function redraw(...selectors) {
  const fresh = await drawn(location.href);
  for (const selector of selectors) merge($(selector), $(selector, fresh));
}

// Does so again and again while somebody looks. Ends with the session: looking alone does not make that last.
export function keepDrawn(selectors, {every_ms, wanted = () => true, failed}) {
  const again = async () => {
    try {
      if (document.visibilityState === "visible" && wanted()) await redraw(...selectors);
      failed(null);
    } catch (error) {
      failed(error);
      if (error.status === 401) return;
    }
    setTimeout(again, every_ms);
  };
  setTimeout(again, every_ms);
}

// A page of this server, as a document that runs nothing.
async function drawn(url) {
  let answer, text;
  try {
    answer = await fetch(url, {headers: {Accept: "text/html"}, cache: "no-store", redirect: "error"});
    text = await answer.text();
  } catch {
    throw new Away();
  }
  if (!answer.ok) throw new Refused(answer.status, {detail: answer.status === 401 ? "your session has ended; log in again to go on" : ""});
  return new DOMParser().parseFromString(text, "text/html");
}

function merge(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || keyOf(old) !== keyOf(now)) {
    old.replaceWith(now);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
  } else {
    mergeAttributes(old, now);
    mergeChildren(old, now);
  }
}

// What a person did to an element is theirs: a menu that is open, a row that is hidden by a search.
const theirs = name => name === "open" || name === "hidden";

function mergeAttributes(old, now) {
  for (const {name} of [...old.attributes]) if (!theirs(name) && !now.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of now.attributes) if (!theirs(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// By key where there are some: a row that stays is the same element, whatever comes before it.
function mergeChildren(old, now) {
  const keys = new Set([...now.childNodes].map(keyOf));
  for (const child of [...old.childNodes]) if (keyOf(child) && !keys.has(keyOf(child))) child.remove();
  const kept = new Map([...old.childNodes].filter(keyOf).map(child => [keyOf(child), child]));
  let place = old.firstChild;
  for (const child of [...now.childNodes]) {
    const key = keyOf(child);
    // An element that is moved loses the focus, so what has no key makes way for it.
    while (kept.has(key) && place && !keyOf(place)) place = without(place);
    const same = key ? kept.get(key) : place && !keyOf(place) ? place : null;
    if (!same) {
      old.insertBefore(document.adoptNode(child), place);
    } else if (same === place) {
      place = place.nextSibling;
      merge(same, child);
    } else {
      old.insertBefore(same, place);
      merge(same, child);
    }
  }
  while (place) place = without(place);
}

function without(node) {
  const after = node.nextSibling;
  node.remove();
  return after;
}
