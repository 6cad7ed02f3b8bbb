// A JSON value as nested lists, which open, and in which values are changed where they stand.

import {el} from "./dom.js";
import {pathText} from "./json_changes.js";
import {put, valueAt} from "./json_text.js";
import {editAsText} from "./metadata_text.js";
import {nameForm, valueForm} from "./metadata_forms.js";
import {visible} from "./told.js";

const AT_ONCE = 100;  // rows of one object or array
const LONGEST = 2000;  // letters of a value that are shown
const OPEN_DEPTH = 2;

const holds = value => value.kind === "object" || value.kind === "array";
const inner = value => value.kind === "object" ? [...value.members] : value.items.map((item, place) => [place, item]);
const keyOf = path => JSON.stringify(path);

export class Tree {
  // `changed` is told the whole value when somebody changes it; `isNew` says whether what is at a path is not saved yet.
  constructor({writable, changed, isNew}) {
    Object.assign(this, {writable, changed, isNew, opened: new Map(), more: new Map(), form: null});
    this.rows = el("div", {class: "rows"});
    this.element = el("div", {class: "tree"}, this.tools(), this.rows);
  }

  tools() {
    const tool = (name, work) => el("button", {onclick: work}, name);
    return el("div", {class: "row tools"},
      this.writable && tool("Add a member", () => this.add([])),
      this.writable && tool("Edit as JSON", () => this.asText([])),
      tool("Open all", () => this.openAll(true)), tool("Close all", () => this.openAll(false)));
  }

  // What is typed in an open form is taken; false when it can't be, and stays to be mended.
  settle() {
    this.form?.requestSubmit();
    return this.form === null;
  }

  lineOf(path) { return this.rows.querySelector(`[data-path="${CSS.escape(keyOf(path))}"] > .line`); }

  focus() { this.element.querySelector("button").focus(); }

  draw(value) {
    this.value = value;
    this.form = null;
    this.rows.replaceChildren(value.members.size ? this.list(value, []) : el("p", {class: "hint"}, this.writable ? "None yet. Add a member, or write it as JSON." : "None."));
    if (this.wanted) {
      const wanted = this.rows.querySelector(`[data-path="${CSS.escape(keyOf(this.wanted))}"] button`);
      this.wanted = null;
      (wanted ?? this.element.querySelector("button")).focus();
    }
  }

  openAll(open) {
    if (!this.settle()) return;
    const walk = (value, path) => {
      if (!holds(value)) return;
      if (path.length) this.opened.set(keyOf(path), open);
      for (const [step, each] of inner(value).slice(0, open ? AT_ONCE : undefined)) walk(each, [...path, step]);
    };
    walk(this.value, []);
    this.draw(this.value);
  }

  isOpen(value, path) {
    return this.opened.get(keyOf(path)) ?? (path.length < OPEN_DEPTH && inner(value).length <= 20);
  }

  list(value, path) {
    const all = inner(value);
    const shown = this.more.get(keyOf(path)) ?? AT_ONCE;
    return el("ul", {},
      all.slice(0, shown).map(([step, each]) => this.row(each, [...path, step], value.kind)),
      all.length > shown && el("li", {}, el("button", {class: "quiet", onclick: () => { if (!this.settle()) return; this.more.set(keyOf(path), shown + AT_ONCE); this.draw(this.value); }}, `Show ${Math.min(AT_ONCE, all.length - shown)} of ${all.length - shown} more`)));
  }

  row(value, path, holder) {
    const step = path.at(-1);
    const line = el("div", {class: `line${this.isNew(path) ? " new" : ""}`});
    const item = el("li", {"data-path": keyOf(path)}, line);
    const name = el("span", {class: holder === "object" ? "name" : "name place"}, ...visible(String(step)));
    if (holds(value)) {
      const open = this.isOpen(value, path);
      const count = inner(value).length;
      const words = value.kind === "object" ? `${count} member${count === 1 ? "" : "s"}` : `${count} item${count === 1 ? "" : "s"}`;
      line.append(el("button", {class: "toggle", "aria-expanded": String(open), onclick: () => { if (!this.settle()) return; this.opened.set(keyOf(path), !open); this.wanted = path; this.draw(this.value); }}, name, el("span", {class: "hint"}, value.kind === "object" ? `{ ${words} }` : `[ ${words} ]`)));
      if (open && count) item.append(this.list(value, path));
    } else {
      const text = value.text ?? value.kind;
      const shown = el(this.writable ? "button" : "span", {class: `value ${value.kind}`, dir: "auto"}, ...visible(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text === "" ? "" : text), text === "" && el("span", {class: "hint"}, "empty text"));
      if (this.writable) {
        shown.addEventListener("click", () => this.edit(path));
        shown.setAttribute("aria-label", `${step}: ${text}, change it`);
      }
      line.append(el("span", {class: "leaf"}, name), shown);
    }
    if (this.writable) line.append(this.menu(value, path, holder));
    return item;
  }

  menu(value, path, holder) {
    const place = pathText(path);
    const choice = (name, work) => el("li", {}, el("button", {class: "plain", onclick: () => { menu.open = false; work(); }}, name));
    const menu = el("details", {class: "menu end"}, el("summary", {"aria-label": `Change ${place}`}, "⋯"));
    // Made when it is opened: most menus never are.
    menu.addEventListener("toggle", () => {
      if (!menu.open || menu.querySelector("ul")) return;
      menu.append(el("ul", {},
        holds(value) ? choice(value.kind === "object" ? "Add a member" : "Add an item", () => this.add(path)) : choice("Change the value", () => this.edit(path)),
        holder === "object" && choice("Rename", () => this.rename(path)),
        choice("Edit as JSON", () => this.asText(path)),
        choice("Remove", () => { if (!this.settle()) return; this.wanted = path.slice(0, -1); this.changed(put(this.value, path, undefined)); })));
    });
    menu.addEventListener("keydown", event => { if (event.key === "Escape") { menu.open = false; menu.firstChild.focus(); } });
    menu.addEventListener("focusout", event => { if (!menu.contains(event.relatedTarget)) menu.open = false; });
    return menu;
  }

  edit(path) {
    if (!this.settle()) return;
    this.inPlace(path, this.lineOf(path), done => valueForm({value: valueAt(this.value, path), name: pathText(path), label: String(path.at(-1)), done}), made => put(this.value, path, made));
  }

  rename(path) {
    if (!this.settle()) return;
    const holder = valueAt(this.value, path.slice(0, -1));
    this.inPlace(path, this.lineOf(path), done => nameForm({name: path.at(-1), taken: holder.members, done}), name => {
      const members = new Map([...holder.members].map(([key, each]) => [key === path.at(-1) ? name : key, each]));
      this.wanted = [...path.slice(0, -1), name];
      return put(this.value, path.slice(0, -1), {kind: "object", members});
    });
  }

  add(path) {
    if (!this.settle()) return;
    const holder = valueAt(this.value, path);
    this.opened.set(keyOf(path), true);
    this.draw(this.value);
    const list = path.length ? this.rows.querySelector(`[data-path="${CSS.escape(keyOf(path))}"]`) : this.rows;
    const line = el("div", {class: "line new"});
    list.append(line);
    const named = holder.kind === "object";
    this.inPlace(path, line, done => valueForm({name: named ? "the new member" : "the new item", taken: named ? holder.members : null, done}), ({name, ...made}) => {
      this.wanted = [...path, named ? name : holder.items.length];
      return put(this.value, this.wanted, named ? made.value : made);
    });
  }

  // A form in place of a line, until it is done; undefined is: leave it.
  inPlace(path, line, makeForm, make) {
    if (!line) return;
    const form = makeForm(made => {
      this.form = null;
      this.wanted = path;
      if (made === undefined) this.draw(this.value); else this.changed(make(made));
    });
    line.replaceChildren(form);
    line.classList.add("open");
    this.form = form;
    form.begin();
  }

  async asText(path) {
    if (!this.settle()) return;
    const made = await editAsText({value: valueAt(this.value, path), name: path.length ? pathText(path) : "All metadata", object: !path.length});
    this.wanted = path;
    if (made === undefined) this.draw(this.value); else this.changed(put(this.value, path, made));
  }
}
