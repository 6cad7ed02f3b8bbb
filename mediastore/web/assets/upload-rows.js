// Rows of files in their lists, a few dozen of each: thousands of files make no thousands of rows.

import {el} from "./dom.js";
import {count, size, visible} from "./told.js";
import {verdict} from "./upload-verdict.js";

const MOST = 40;

export const BUTTONS = {
  again: "Try again",
  anew: "Begin again",
  choose: "Choose the file again",
  fields: "Try again with what the form says",
  leave: "Leave it out",
  over: "A new version of it",
};

// A list of items in one of the places of the page. `does(what, item, value)` is what buttons ask for.
export class Rows {
  constructor(section, does) {
    this.section = section;
    this.list = section.querySelector("ul");
    this.rows = new Map();
    this.most = MOST;
    this.does = does;
    this.more = el("button", {type: "button", class: "quiet more", hidden: true, onclick: () => { this.most += MOST; this.show(this.items); }});
    this.list.after(this.more);
  }

  show(items) {
    this.items = items;
    this.section.hidden = items.length === 0;
    const wanted = items.slice(0, this.most);
    for (const [item, row] of this.rows) if (!wanted.includes(item)) { this.leave(row); this.rows.delete(item); }
    wanted.forEach((item, place) => {
      let row = this.rows.get(item);
      const signature = [item.state, item.shownPid, item.wrong, item.trouble, item.sha256, item.record, item.file, item.state === "interrupted" && item.sent].map(part => part && typeof part === "object" ? id(part) : String(part)).join("\n");
      if (row?.signature !== signature) {
        const made = build(item, this.does);
        if (row) { const had = row.element.contains(document.activeElement); row.element.replaceWith(made.element); if (had) made.element.querySelector("button, input, a")?.focus(); }
        row = {...made, signature};
        this.rows.set(item, row);
      }
      row.update();
      if (this.list.children[place] !== row.element) this.list.insertBefore(row.element, this.list.children[place] ?? null);
    });
    const hidden = items.length - wanted.length;
    this.more.hidden = hidden === 0;
    this.more.textContent = `Show more: ${count(hidden, "file is", "files are")} not shown`;
  }

  // Whoever was in a row that goes stays near it.
  leave({element}) {
    if (element.contains(document.activeElement)) (this.section.hidden ? document.getElementById("main") : this.section.querySelector("h2")).focus();
    element.remove();
  }
}

const ids = new WeakMap();
let last = 0;
const id = thing => { if (!ids.has(thing)) ids.set(thing, last += 1); return ids.get(thing); };

const button = (text, item, onclick, kind = "quiet") => el("button", {type: "button", class: kind, "aria-label": `${text}: ${item.name}`, onclick}, text);

function build(item, does) {
  const where = item.folder ? `${item.folder}/${item.path}` : item.path;
  const names = el("div", {class: "names"}, el("span", {class: "file"}, visible(where)), " ", el("span", {class: "hint"}, size(item.size)));
  const made = {element: el("li", {class: `upload ${item.state}`, "data-name": item.name}, names), update: () => {}};
  SHAPES[item.state](made, item, does);
  return made;
}

const pidOf = item => item.shownPid ? el("span", {class: "pid mono"}, visible(item.shownPid)) : el("span", {class: "hint"}, "a PID is minted");
const arrow = item => el("div", {class: "becomes"}, el("span", {class: "hint", "aria-hidden": "true"}, "→ "), el("span", {class: "visually-hidden"}, "becomes "), pidOf(item));

function bar(made, item, ...buttons) {
  const progress = el("progress", {max: String(Math.max(1, item.size)), "aria-label": `Progress of ${item.name}`});
  const how = el("span", {class: "hint how"});
  made.element.append(arrow(item), el("div", {class: "actions"}, ...buttons), el("div", {class: "moving"}, progress, how));
  made.update = () => {
    progress.value = item.size ? item.sent : 1;
    const wait = item.again ? Math.max(0, Math.ceil((item.again - Date.now()) / 1000)) : 0;
    how.textContent = item.note ? `${item.note}${wait ? `; next try in ${wait} s` : ""}.` : told(item);
    how.classList.toggle("waits", Boolean(item.note));
  };
}

function told(item) {
  if (item.state === "verifying") return "All is sent. The server verifies it.";
  if (item.state === "paused") return `Paused at ${size(item.sent)} of ${size(item.size)}`;
  return `${size(item.sent)} of ${size(item.size)}`;
}

const SHAPES = {
  chosen(made, item, does) {
    made.element.append(arrow(item), el("div", {class: "actions"}, button("Remove", item, () => does("leave", item))));
    if (item.wrong) made.element.append(el("p", {class: "trouble"}, visible(item.wrong)));
  },
  waiting(made, item, does) {
    made.element.append(arrow(item), el("div", {class: "actions"}, el("span", {class: "state"}, "waits"), button("Cancel", item, () => does("leave", item))));
  },
  sending(made, item, does) { bar(made, item, button("Pause", item, () => does("pause", item)), button("Cancel", item, () => does("leave", item))); },
  verifying(made, item) { bar(made, item); },
  paused(made, item, does) { bar(made, item, button("Go on", item, () => does("again", item), ""), button("Cancel", item, () => does("leave", item))); },
  interrupted(made, item, does) {
    const there = item.sent ? `${size(item.sent)} of it are on the server.` : "No part of it is on the server yet.";
    made.element.append(arrow(item), el("div", {class: "actions"}, button("Choose it again", item, () => does("choose", item), ""), button(BUTTONS.leave, item, () => does("leave", item))),
      el("p", {class: "hint"}, `It was under way when the page was left. ${there}`));
  },
  failed(made, item, does) {
    const {text, choices} = item.trouble;
    made.element.append(arrow(item), el("p", {class: item.trouble.clash ? "caution" : "trouble", role: "alert"}, visible(text)));
    const row = el("div", {class: "row"});
    if (choices.includes("rename")) {
      const input = el("input", {value: item.asked.pid ?? "", "aria-label": `Another PID for ${item.name}`, maxlength: "255"});
      row.append(el("form", {method: "dialog", class: "row rename", onsubmit: event => { event.preventDefault(); does("rename", item, input.value); }}, input, el("button", {}, "Use this PID")));
    }
    for (const what of choices) if (BUTTONS[what]) row.append(button(BUTTONS[what], item, () => does(what, item), what === "leave" ? "quiet" : ""));
    made.element.append(row);
  },
  stored(made, item, does) {
    const href = `/records/${encodeURIComponent(item.record.pid).replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
    made.element.append(el("div", {class: "becomes"}, el("span", {class: "hint", "aria-hidden": "true"}, "→ "), el("a", {class: "pid mono", href}, visible(item.record.pid)),
      item.record.version > 1 ? el("span", {class: "hint"}, ` version ${item.record.version}`) : null));
    const {state, word, text, sum} = verdict(item);
    made.element.append(el("div", {class: "actions"}, el("span", {class: `state ${state}`}, word)));
    if (sum) made.element.append(el("div", {class: "sum hint"}, "SHA-256 ", el("code", {}, sum)));
    if (text) {
      made.element.append(el("p", {class: state === "bad" ? "trouble" : "hint verdict", role: state === "bad" ? "alert" : null}, text));
      if (state === "bad") made.element.append(el("div", {class: "row"}, button("Upload it again", item, () => does("resend", item), "")));
    }
  },
};
