// Checksums of files, computed beside the page while it sends them.

let worker = null;
let last = 0;
const asked = new Map();

function begun() {
  if (worker) return worker;
  worker = new Worker("/console-assets/upload-digest.js");
  worker.onmessage = ({data}) => {
    const settle = asked.get(data.id);
    asked.delete(data.id);
    settle?.(data);
  };
  worker.onerror = () => {
    for (const settle of asked.values()) settle({error: "WorkerError"});
    asked.clear();
  };
  return worker;
}

// The SHA-256 of a file as hex; null where it could not be computed, or is not wanted any more.
export function sha256Of(file, signal) {
  const id = last += 1;
  return new Promise(good => {
    const stop = () => { worker.postMessage({id, stop: true}); asked.delete(id); good(null); };
    asked.set(id, data => { signal.removeEventListener("abort", stop); good(data.sha256 ?? null); });
    signal.addEventListener("abort", stop);
    begun().postMessage({id, file});
    if (signal.aborted) stop();
  });
}
