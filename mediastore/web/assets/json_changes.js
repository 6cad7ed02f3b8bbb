// What differs between two JSON values of json_text.js, and three of them put together.

import {same, put, valueAt, write} from "./json_text.js";

const MOST = 1000;  // edits that a call takes, and letters of a step
const DEEPEST = 100;

// [{path, before, after}], undefined for what is not there. An array that has more or fewer items is one value, as is an
// object that comes or goes; with `items` they are told by what is in them.
export function differences(before, after, {items = false, path = []} = {}) {
  if (same(before, after)) return [];
  const deeper = (one, other, step) => differences(one, other, {items, path: [...path, step]});
  const inside = value => value?.kind === "object" ? value.members : items && value === undefined ? new Map() : null;
  const [old, young] = [inside(before), inside(after)];
  if (old && young && old.size + young.size > 0) {
    return [...new Set([...old.keys(), ...young.keys()])].flatMap(name => deeper(old.get(name), young.get(name), name));
  }
  if (before?.kind === "array" && after?.kind === "array" && (items || before.items.length === after.items.length)) {
    return between(before.items, after.items).flatMap(([place, one, other]) => deeper(one, other, place));
  }
  return [{path, before, after}];
}

// The items that differ, between what two arrays begin and end with alike.
function between(before, after) {
  let first = 0;
  const shorter = Math.min(before.length, after.length);
  while (first < shorter && same(before[first], after[first])) first += 1;
  let last = 0;
  while (last < shorter - first && same(before.at(-1 - last), after.at(-1 - last))) last += 1;
  const found = [];
  for (let place = first; place < Math.max(before.length, after.length) - last; place += 1) {
    found.push([place, place < before.length - last ? before[place] : undefined, place < after.length - last ? after[place] : undefined]);
  }
  return found;
}

// The body of a PATCH that makes these changes of metadata.
export function patchOf(changes, whole) {
  const fits = changes.length <= MOST && changes.every(({path}) => path.length <= DEEPEST && path.every(step => String(step).length <= MOST));
  const set = fits ? changes.filter(({after}) => after !== undefined) : [{path: [], after: whole}];
  const removed = fits ? changes.filter(({after}) => after === undefined) : [];
  const edits = set.map(({path, after}) => `{"path":${JSON.stringify(path)},"value":${write(after)}}`);
  return `{"set_metadata":[${edits.join(",")}],"remove_metadata":${JSON.stringify(removed.map(({path}) => path))}}`;
}

export const applied = (value, changes) => changes.reduce((made, {path, after}) => put(made, path, after), value);

// `base` became `theirs` while somebody made `mine` of it. Told are the changes of mine that meet none of theirs, theirs
// that meet none of mine, and where both changed the same thing: {path, base, mine, theirs}.
export function compared(base, mine, theirs) {
  const ours = differences(base, mine);
  const others = differences(base, theirs);
  const meets = (one, other) => one.path.every((step, place) => place >= other.path.length || step === other.path[place]);
  const agreed = (one, other) => one.path.length === other.path.length && same(one.after, other.after);
  const conflicts = new Map();
  const settled = new Set();
  for (const one of ours) for (const other of others) {
    if (!meets(one, other)) continue;
    settled.add(one).add(other);
    if (agreed(one, other)) continue;
    const path = one.path.length <= other.path.length ? one.path : other.path;
    conflicts.set(JSON.stringify(path), {path, base: valueAt(base, path), mine: valueAt(mine, path), theirs: valueAt(theirs, path)});
  }
  const outer = [...conflicts.values()].filter(({path}) =>
    ![...conflicts.values()].some(other => other.path.length < path.length && meets(other, {path})));
  return {ours: ours.filter(one => !settled.has(one)), others: others.filter(one => !settled.has(one)), conflicts: outer};
}

// $.ctd[0].depth, as searches write it.
export const pathText = path => "$" + path.map(step =>
  typeof step === "number" ? `[${step}]` : /^[A-Za-z_][A-Za-z0-9_]*$/.test(step) ? `.${step}` : `.${JSON.stringify(step)}`).join("");
