// The forms of a record's page: what each asks for when it is sent.

import {Refused, call} from "./api.js";
import {$, $$, news} from "./dom.js";
import {expiryOf, momentOf} from "./expiry_form.js";
import {change, path, record, refresh} from "./record_page.js";

const lines = text => text.split("\n").map(line => line.trim()).filter(line => line);
const unlike = (one, other) => JSON.stringify(one) !== JSON.stringify(other);

async function done(form, told) {
  form.closest("dialog")?.close();
  await refresh();
  news(told);
}

export const savings = {
  async access(form) {
    const {access, readers, writers, public_at: at, owner} = form.elements;
    const wanted = {
      access: access.value, readers: lines(readers.value), writers: lines(writers.value), public_at: momentOf(at, record.public_at), owner: owner.value.trim(),
    };
    const body = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => unlike(value, record[name])));
    if (Object.keys(body).length) await change(body, Object.keys(body));
    await done(form, "The access is as you said.");
  },
  async identifiers(form) {
    const wanted = {};
    for (const {name, value} of $$("input[name]", form)) if (value.trim() !== (record.identifiers[name] ?? "")) wanted[name] = value.trim() || null;
    const type = $("[data-types]", form).value;
    const value = $("[data-value]", form);
    if (type && !value.value.trim()) { value.focus(); throw new Refused(422, {detail: `write the value of ${type}`}); }
    if (!type && value.value.trim()) throw new Refused(422, {detail: "choose the type of the value that you wrote"});
    if (type) wanted[type] = value.value.trim();
    if (Object.keys(wanted).length) await change({identifiers: wanted}, ["identifiers"]);
    await done(form, "The identifiers are as you said.");
  },
  async tagging(form) {
    const tag = form.elements.tag.value.trim();
    if (!tag) throw new Refused(422, {detail: "write a tag"});
    await call("PATCH", path("media"), {body: {add_tags: [tag]}});
    form.reset();
    await refresh();
    $("#tagging input").focus();
    news("The tag is added.");
  },
  async expiry(form) {
    await change({expires_at: expiryOf(form.elements, record.expires_at)}, ["expires_at"]);
    await done(form, "The expiry is as you said.");
  },
  async hold(form) {
    const {reason, until} = form.elements;
    await call("POST", path("holds"), {body: {reason: reason.value.trim(), until: momentOf(until)}});
    await done(form, "The record is held.");
  },
  async delete() {
    try {
      await call("DELETE", path("media"), {headers: {"If-Match": `"${record.revision}"`}});
      location.reload();
    } catch (error) {
      if (error.status !== 412) throw error;
      await refresh();
      news("Somebody else changed the record meanwhile. Look at it again before you delete it.");
    }
  },
};
