// On every page: menus that close as menus do, and a session that lives as long as somebody is there.

import {loggedIn, tokenNow} from "./api.js";
import {$$} from "./dom.js";

const ALIVE_MS = 10 * 60_000;

document.addEventListener("keydown", event => {
  const menu = event.key === "Escape" && event.target.closest("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("focusout", event => {
  const menu = event.target.closest("details.menu[open]");
  if (menu && !menu.contains(event.relatedTarget)) menu.open = false;
});
document.addEventListener("click", event => {
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// A form would go there; a script asks first whether the session is still good.
if (loggedIn) {
  let shown = Date.now();
  for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, () => { shown = Date.now(); }, {passive: true});
  setInterval(() => { if (Date.now() - shown < ALIVE_MS) tokenNow(true).catch(() => {}); }, ALIVE_MS);
}
