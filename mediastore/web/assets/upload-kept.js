// What is under way, kept in this browser so that a reload or a crash loses nothing: names, sizes and what was said of each file.
// Neither bytes nor tokens: who wants to go on has to be logged in, and to have the file.

const NAME = "mediastore-upload";
const FORGET_MS = 14 * 24 * 3600_000;

let opening = null;

function database() {
  opening ??= new Promise((good, bad) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("files", {keyPath: "id"}).createIndex("user", "user");
    asked.onsuccess = () => good(asked.result);
    asked.onerror = () => bad(asked.error);
  });
  return opening;
}

async function work(mode, ask) {
  try {
    const files = (await database()).transaction("files", mode).objectStore("files");
    return await new Promise((good, bad) => {
      const asked = ask(files);
      files.transaction.oncomplete = () => good(asked?.result);
      files.transaction.onerror = files.transaction.onabort = () => bad(files.transaction.error);
    });
  } catch {
    return undefined;  // a private window, or no room: everything works but going on after a reload
  }
}

const user = document.body.dataset.user;

// Notes how far a file is, under its `id`: `state` is waiting, begun or stored.
export const keep = items => work("readwrite", files => {
  for (const {id, name, path, folder, size, modified, pid, asked, over, upload, state} of items) {
    const shown = upload ? {id: upload.id} : null;
    files.put({id, user, at: Date.now(), name, path, folder, size, modified, pid, asked, over, upload: shown, stored: state === "stored"});
  }
});

export const forget = ids => work("readwrite", files => { for (const id of ids) files.delete(id); });

// What this person left behind here. Once nothing of it is unfinished, or two weeks have gone by, it is forgotten.
export async function left() {
  const all = await work("readonly", files => files.index("user").getAll(user)) ?? [];
  const fresh = all.filter(one => one.at > Date.now() - FORGET_MS);
  const open = fresh.some(one => !one.stored) ? fresh : [];
  await forget(all.filter(one => !open.includes(one)).map(one => one.id));
  return open;
}
