// CSV and its kin (RFC 4180), as far as a preview needs it.

// What stands most often in the first line, outside quotes.
export function separatorOf(text) {
  const line = text.slice(0, text.search(/\n|$/)).replaceAll(/"[^"]*"/g, "");
  const times = each => line.split(each).length;
  return [",", ";", "\t", "|"].reduce((best, each) => times(each) > times(best) ? each : best);
}

// Rows of cells, at most so many. Where the text was `cut`, its last row is not whole and is left out.
export function rowsOf(text, separator, {cut = false, most = Infinity} = {}) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') { cell += letter; at += 1; } else quoted = false;
    } else if (letter === '"' && cell === "") {
      quoted = true;
    } else if (letter === separator) {
      row.push(cell);
      cell = "";
    } else if (letter === "\n") {
      rows.push([...row, cell.replace(/\r$/, "")]);
      row = [];
      cell = "";
    } else {
      cell += letter;
    }
  }
  if (!cut && rows.length < most && (row.length || cell)) rows.push([...row, cell]);
  return rows;
}
