// Small things that every page does with its elements. Text goes in as text, never as HTML.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// An element with attributes and children: el("a", {href, class: "tag"}, "text", other).
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

let fading = 0;

// A line at the edge of the page, also for who listens to it.
export function news(text) {
  const line = $("#news");
  clearTimeout(fading);
  line.textContent = text;
  fading = setTimeout(() => { line.textContent = ""; }, 8000);
}

// What went wrong, in the place given for it; none takes it away.
export function trouble(place, text = "") {
  place.textContent = text;
  place.hidden = !text;
  if (text) place.scrollIntoView({block: "nearest"});
}

// Runs what a button asks for, once at a time. What fails is told in `place`.
export async function attempt(work, {button = null, place, said}) {
  trouble(place);
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") trouble(place, said(error));
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

// The JSON that the page brought along in <script type="application/json" id="…">.
export const given = id => JSON.parse(document.getElementById(id).textContent);

// Asks in a dialog: resolves with true when the button of that name was pressed. `details` are elements.
export function confirm({title, details = [], yes, danger = false, no = "Cancel"}) {
  return new Promise(resolve => {
    const heading = el("h2", {id: "confirm-title"}, title);
    const buttons = el("div", {class: "row"},
      el("button", {value: "yes", class: danger ? "danger" : "first"}, yes), el("button", {value: "no", class: "quiet", autofocus: true}, no));
    const dialog = el("dialog", {"aria-labelledby": "confirm-title", class: "confirm"}, el("form", {method: "dialog"}, heading, ...details, buttons));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
