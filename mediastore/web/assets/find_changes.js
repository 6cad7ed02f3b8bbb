// The three changes to many records: what somebody fills in, as items of a batch, and how it is told.

import {moment} from "./told.js";

// Each: `title`; `item(form)`, which makes the function from a record to its item, or throws what to say; `done`, in the past;
// `shown(record)`: how the record would be.
export const CHANGES = {
  tags: {
    title: "Change tags",
    yes: "Change the tags of",
    done: "changed",
    item(form) {
      const add = listed(form.add.value), remove = listed(form.remove.value);
      if (add.length + remove.length === 0) throw new Error("Write at least one tag to add or to remove.");
      const both = add.find(tag => remove.includes(tag));
      if (both !== undefined) throw new Error(`The tag ${both} can't be both added and removed.`);
      return ({pid}) => ({op: "update", pid, add_tags: add, remove_tags: remove});
    },
    shown: record => record.tags.length ? `tags: ${record.tags.map(written).join(", ")}` : "no tags",
  },
  expiry: {
    title: "Set when they expire",
    yes: "Set the expiry of",
    done: "changed",
    item(form) {
      const when = form.when.value;
      if (when === "never") return ({pid}) => ({op: "update", pid, expires_at: null});
      if (when === "at") {
        if (!form.day.value) throw new Error("Choose the day on which they expire.");
        const at = `${form.day.value}T00:00:00Z`;
        if (new Date(at) < Date.now()) throw new Error(`${form.day.value} is over, and they would expire at once; choose a later day.`);
        return ({pid}) => ({op: "update", pid, expires_at: at});
      }
      const number = Number(form.number.value);
      if (!Number.isInteger(number) || number < 1) throw new Error("Write in how many days, hours or weeks they expire, such as 30.");
      return ({pid}) => ({op: "update", pid, ttl_s: number * Number(form.unit.value)});
    },
    shown: record => record.expires_at ? `expires ${moment(record.expires_at)}` : "never expires",
  },
  delete: {
    title: "Delete records",
    yes: "Delete",
    done: "deleted",
    danger: true,
    // As it was looked at: what somebody changes meanwhile stays.
    item: () => ({pid, revision}) => ({op: "delete", pid, revision}),
    shown: () => null,
  },
};

// Tags with commas between them; one that has a comma stands in double quotes.
function listed(text) {
  const found = [];
  for (const [, quoted, plain] of text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)) {
    const tag = (quoted === undefined ? plain : quoted.replaceAll('""', '"')).trim();
    if (tag) found.push(tag);
  }
  return [...new Set(found)];
}

const written = tag => /[,"]/.test(tag) ? `"${tag.replaceAll('"', '""')}"` : tag;

const REASONS = {
  record_held: ["is held: nobody deletes it while the hold stands", "are held: nobody deletes them while their holds stand"],
  not_allowed: ["is not yours to change", "are not yours to change"],
  revision_mismatch: ["was changed by somebody meanwhile", "were changed by somebody meanwhile"],
  record_gone: ["is gone already", "are gone already"],
  record_not_found: ["is not there, or not for you to see", "are not there, or not for you to see"],
};

// How many were refused, and why: "8 are held".
export function refusal(code, number) {
  const said = REASONS[code] ?? [`was refused: ${code.replaceAll("_", " ")}`, `were refused: ${code.replaceAll("_", " ")}`];
  return `${number.toLocaleString("en")} ${said[number === 1 ? 0 : 1]}`;
}
