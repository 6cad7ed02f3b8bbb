// The page of a record that has expired: the way back.

import {call, pathOf, said} from "./api.js";
import {$, attempt} from "./dom.js";
import {expiryOf} from "./expiry_form.js";

const form = $("#restore");
form.addEventListener("submit", event => {
  event.preventDefault();
  attempt(async () => {
    const {pid, revision} = form.dataset;
    await call("PATCH", `/media/${pathOf(pid)}`, {body: {expires_at: expiryOf(form.elements)}, headers: {"If-Match": `"${revision}"`}});
    location.reload();
  }, {button: event.submitter, place: $(".trouble", form), said});
});
form.elements.expires_at.addEventListener("input", () => { form.elements.how.value = "at"; });
