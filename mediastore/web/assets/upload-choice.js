// Files that were chosen or dropped, folders and all: each with its path below the folder that it came in.

// A file as it is at this moment. `path` is below `folder`, the one that was chosen or dropped; empty for a single file.
export function chosen(file, way = "") {
  const [folder, ...rest] = way.split("/").filter(Boolean);
  const inside = rest.length > 0;
  return {
    file,
    name: file.name,
    path: inside ? rest.join("/") : file.name,
    folder: inside ? folder : "",
    size: file.size,
    modified: file.lastModified,
  };
}

export const fromInput = input => [...input.files].map(file => chosen(file, file.webkitRelativePath));

// Of a drop event: what is dropped has to be taken before the event ends, and is read afterwards.
export function fromDrop(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return Promise.resolve([...transfer.files].map(file => chosen(file)));
  return Promise.all(entries.map(entry => filesIn(entry))).then(found => found.flat());
}

async function filesIn(entry) {
  if (entry.isFile) return [chosen(await new Promise((good, bad) => { entry.file(good, bad); }), entry.fullPath)];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((good, bad) => { reader.readEntries(good, bad); });  // a hundred at a time
    if (!some.length) return found;
    for (const each of some) found.push(...await filesIn(each));
  }
}
