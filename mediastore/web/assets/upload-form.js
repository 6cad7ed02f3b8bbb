// What is said of all files: read from the form, and kept there over a reload.

const KEPT = "mediastore-upload-form";

// What is wrong in the form, in a sentence; empty where nothing is.
export function wrongFields(form) {
  const text = form.elements.metadata.value.trim();
  form.elements.metadata.removeAttribute("aria-invalid");
  if (!text) return "";
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return "";
  } catch (error) {
    return refused(form, `The metadata are no JSON: ${error.message}.`);
  }
  return refused(form, 'Metadata are a JSON object, such as {"cruise": "AR77"}.');
}

function refused(form, text) {
  form.elements.metadata.setAttribute("aria-invalid", "true");
  form.querySelector("details").open = true;
  form.elements.metadata.focus();
  return text;
}

// The fields of records as the API takes them; metadata as the text that was typed.
export function fieldsOf(form) {
  const {store, type, access, tags, metadata} = form.elements;
  const list = tags.value.split(",").map(tag => tag.trim()).filter(Boolean);
  return {
    store: store.value,
    access: access.value,
    ...(type.value ? {pid_type: type.value} : {}),
    ...(list.length ? {tags: list} : {}),
    ...(metadata.value.trim() ? {metadata: metadata.value.trim()} : {}),
  };
}

// What was typed is there again after a reload of this tab.
export function remember(form) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  for (const field of form.elements) {
    if (!field.name || !Object.hasOwn(kept, field.name)) continue;
    if (field.type === "radio") field.checked = field.value === kept[field.name];
    else if (field.tagName !== "SELECT" || [...field.options].some(option => option.value === kept[field.name])) field.value = kept[field.name];
  }
  if (form.elements.tags.value || form.elements.metadata.value || form.elements.type.value) form.querySelector("details").open = true;
  form.addEventListener("input", () => sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(new FormData(form)))));
}
