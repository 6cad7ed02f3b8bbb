// A look at the content. What others sent never runs here: pictures are drawn as pictures, all else is text.

import {call, said, send} from "./api.js";
import {$, attempt, el} from "./dom.js";
import {parse, write} from "./json_text.js";
import {rowsOf, separatorOf} from "./delimited.js";
import {path, record} from "./record_page.js";
import {count, size, visible} from "./told.js";

const MOST_PICTURE = 20 * 1024 * 1024;
const MOST_JSON = 1024 * 1024;
const MOST_TEXT = 64 * 1024;
const MOST_ROWS = 50;
const ENDINGS = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml", csv: "text/csv",
  tsv: "text/tab-separated-values", json: "application/json", geojson: "application/json", parquet: "application/vnd.apache.parquet",
  txt: "text/plain", md: "text/plain", log: "text/plain", xml: "text/plain", yaml: "text/plain", yml: "text/plain", toml: "text/plain", html: "text/plain",
};
const PARQUET = ["application/vnd.apache.parquet", "application/x-parquet", "application/parquet"];
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"];

const place = $("#preview");
let shown = null;  // the version that is

async function show() {
  if (!record.content || shown === record.version) return;
  shown = record.version;
  const wrong = el("p", {class: "trouble", role: "alert", hidden: true});
  place.replaceChildren(el("p", {class: "hint"}, "Looking…"), wrong);
  const made = await attempt(look, {place: wrong, said});
  if (made) place.replaceChildren(...made); else place.firstChild.remove();
}

// The type that was said, or where that says nothing, the one that the name's ending means.
function typeOf({media_type: type, filename}) {
  const named = type.split(";")[0].trim().toLowerCase();
  const ending = (filename ?? record.pid).split(".").at(-1).toLowerCase();
  return ["application/octet-stream", "binary/octet-stream", ""].includes(named) ? ENDINGS[ending] ?? named : named;
}

async function look() {
  const {content} = record;
  const type = typeOf(content);
  if (content.size === 0) return [el("p", {class: "hint"}, "It is empty: 0 bytes.")];
  if (PICTURES.includes(type)) return picture(content, type);
  if (PARQUET.includes(type)) return parquet();
  if (type === "text/csv" || type === "text/tab-separated-values") return delimited(type);
  if (type === "application/json" || type.endsWith("+json")) return json(content);
  if (type.startsWith("text/") || type.endsWith("+xml") || type === "application/xml") return text(await beginning(MOST_TEXT));
  return [el("p", {class: "hint"}, "There is no preview of ", el("code", {}, ...visible(content.media_type)), ": download it to look inside.")];
}

const bytes = async headers => (await send("GET", path("content"), {headers: {Accept: "*/*", ...headers}})).arrayBuffer();

// The first bytes as text; null where they are none.
async function beginning(most) {
  const read = new Uint8Array(await bytes({Range: `bytes=0-${most - 1}`}));
  return read.includes(0) ? null : new TextDecoder().decode(read, {stream: true});
}

const cutNote = (whole, most) => whole > most ? el("p", {class: "hint"}, `The first ${size(most)} of ${size(whole)}.`) : null;
const framed = (...inside) => el("div", {class: "look", tabindex: "0", role: "region", "aria-label": "Preview"}, ...inside);

function text(said, note = cutNote(record.content.size, MOST_TEXT)) {
  if (said === null) return [el("p", {class: "hint"}, "This is no text, whatever its type says: download it to look inside.")];
  return [framed(el("pre", {}, ...visible(said))), note].filter(Boolean);
}

async function picture(content, type) {
  if (content.size > MOST_PICTURE) return [el("p", {class: "hint"}, `A picture of ${size(content.size)} is too large for a preview: download it.`)];
  const read = new Blob([await bytes({})], {type});
  // As data an SVG has no origin, wherever somebody opens it; an img runs none of its scripts and loads nothing for it.
  const url = type === "image/svg+xml" ? await asData(read) : URL.createObjectURL(read);
  const name = content.filename ?? record.pid;
  const image = el("img", {alt: `Preview of ${name}`, class: "picture"});
  const note = el("p", {class: "hint"});
  const came = new Promise(resolve => {
    image.onload = () => { note.textContent = image.naturalWidth ? `${image.naturalWidth} × ${image.naturalHeight} pixels` : ""; resolve([image, note]); };
    image.onerror = () => resolve([el("p", {class: "hint"}, "The browser can't draw this picture: it is damaged, or of another type than its name says.")]);
  });
  image.src = url;
  return came;
}

const asData = blob => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

async function json(content) {
  if (content.size > MOST_JSON) return text(await beginning(MOST_TEXT));
  const said = await beginning(MOST_JSON);
  try {
    return text(said === null ? null : write(parse(said), 2), null);
  } catch (error) {
    return [el("p", {class: "hint"}, `It is no JSON. ${error.message}`), ...text(said, null)];
  }
}

async function delimited(type) {
  const said = await beginning(MOST_TEXT);
  if (said === null) return text(null);
  const cut = record.content.size > MOST_TEXT;
  const rows = rowsOf(said, type === "text/csv" ? separatorOf(said) : "\t", {cut, most: MOST_ROWS + 1});
  if (rows.length < 1) return text(said);
  const [columns, ...first] = rows;
  return [table(columns, first), el("p", {class: "hint"}, first.length < MOST_ROWS && !cut ? count(first.length, "row") : `The first ${count(first.length, "row")}.`)];
}

async function parquet() {
  const found = await call("GET", `${path("preview")}?rows=${MOST_ROWS}`);
  const hidden = found.columns_left_out;
  return [table(found.columns.map(({name}) => name), found.rows, found.columns.map(({type}) => type)),
    el("p", {class: "hint"}, `The first ${count(found.rows.length, "row")} of ${found.row_count.toLocaleString("en")}`, hidden ? `, without ${count(hidden, "column")}.` : ".")];
}

function table(columns, rows, types = null) {
  const cell = value => value === null ? el("td", {class: "hint"}, "null") : el("td", {}, ...visible(value));
  return framed(el("table", {},
    el("thead", {}, el("tr", {}, columns.map((name, place) => el("th", {scope: "col"}, ...visible(name), types && el("span", {class: "type"}, types[place]))))),
    el("tbody", {}, rows.map(row => el("tr", {}, row.map(cell))))));
}

show();
document.addEventListener("fresh", show);
