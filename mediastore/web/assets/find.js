// Find: what a form alone can't do. Facets and the count come after the table, pages are appended, rows can be selected.

import {$, $$} from "./dom.js";
import {bulk} from "./find_bulk.js";
import {count} from "./find_count.js";
import {facets} from "./find_facets.js";
import {restore, results} from "./find_results.js";
import {selection} from "./find_selection.js";

const form = $("#find");

// Addresses are short: what was left empty is not in them.
form.addEventListener("formdata", event => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});
// How a text was to be understood does not hold for another one.
$("#q").addEventListener("input", () => { const kind = form.elements.namedItem("as"); if (kind) kind.disabled = true; });
$("select[name=sort]")?.addEventListener("change", () => form.requestSubmit());

if ($("#results")) {
  results();
  restore();
  if ($("#rows")) { count(); facets(); }
  if ($("#bulk")) { selection(); bulk(); }
}
