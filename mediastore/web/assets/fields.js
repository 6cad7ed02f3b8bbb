// What stands in a form, as the API wants it. Each field says by `data-as` what it is.

import {Refused} from "./api.js";
import {$$} from "./dom.js";

const READ = {
  text: field => field.value.trim() || null,          // nothing is none
  plain: field => field.value.trim(),
  choice: field => field.value,
  lines: field => field.value.split("\n").map(line => line.trim()).filter(Boolean),
  number: field => field.value === "" ? null : Number(field.value),
  percent: field => field.value === "" ? null : Number((Number(field.value) / 100).toPrecision(12)),
  quantity: field => field.value === "" ? null : Math.round(Number(field.value) * Number(unitOf(field).value)),
  json: field => {
    try {
      return JSON.parse(field.value.trim() || "{}");
    } catch (error) {
      field.focus();
      throw new Refused(422, {detail: `what you wrote as JSON is none: ${error.message}`});
    }
  },
};

export const unitOf = field => field.parentElement.querySelector("select");

// The fields that are shown, by name: `{grace_s: 3600, …}`.
export function read(form) {
  const found = {};
  for (const field of $$("[data-as]", form)) {
    if (field.closest("[hidden]")) continue;
    if (field.dataset.as === "choices") {
      found[field.name] ??= [];
      if (field.checked) found[field.name].push(field.value);
    } else {
      found[field.name] = READ[field.dataset.as](field);
    }
  }
  return found;
}
