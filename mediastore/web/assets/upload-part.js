// One part, sent: to the store or to this server, by the request that the upload gave for it.

import {Away, Refused} from "./api.js";
import {StoreAway, StoreRefused} from "./upload-patience.js";

// By its path where it is this server's: under whichever name the server knows itself, the page came from it.
const OURS = /^https?:\/\/[^/]+(\/api\/v1\/uploads\/[0-9a-f-]{36}\/parts\/.*)$/;

// Resolves when the part is there. `moved` hears how many bytes of it are on their way. fetch() does not tell that.
export function sendPart({url, headers}, bytes, {signal, moved}) {
  const own = OURS.exec(url)?.[1];
  return new Promise((good, bad) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const end = (settle, value) => { signal.removeEventListener("abort", stop); settle(value); };
    request.open("PUT", own ?? url);
    for (const [name, value] of Object.entries(headers)) if (name !== "Content-Length") request.setRequestHeader(name, value);
    request.upload.onprogress = event => moved(event.loaded);
    request.onload = () => request.status < 300 ? end(good) : end(bad, refusal(request, own));
    request.onerror = () => end(bad, own ? new Away() : new StoreAway());
    request.onabort = () => end(bad, new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", stop);
    if (signal.aborted) { end(bad, new DOMException("stopped", "AbortError")); return; }
    request.send(bytes);
  });
}

function refusal(request, own) {
  if (!own) {
    const text = request.responseText;
    return new StoreRefused(request.status, /<Code>([^<]{1,80})</.exec(text)?.[1] ?? "", /<Message>([^<]{1,300})</.exec(text)?.[1] ?? "");
  }
  let told = {};
  try { told = JSON.parse(request.responseText); } catch { /* cut, or from something in between */ }
  return new Refused(request.status, told, Number(request.getResponseHeader("Retry-After")) || 0);
}
