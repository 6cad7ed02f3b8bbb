// Times in forms, which are in UTC, and when a record is to expire.

import {Refused} from "./api.js";

const DAY_MS = 86_400_000;

// The time in a field; null where there is none. One that nobody touched keeps its seconds.
export const momentOf = (input, known = null) => input.value === input.defaultValue ? known : input.value ? new Date(`${input.value}Z`).toISOString() : null;

// A time so many days from now, put into the form.
export function filled(form, days) {
  form.elements.expires_at.value = new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 16);
  form.elements.how.value = "at";
}

// What the form says; null is never.
export function expiryOf({how, expires_at: at}, known = null) {
  if (how.value === "never") return null;
  if (at.value) return momentOf(at, known);
  at.focus();
  throw new Refused(422, {detail: "say when: a date and a time"});
}
