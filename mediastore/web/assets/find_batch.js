// Many records, in groups: finding all that match, trying what would come of a change, and doing it.

import {call} from "./api.js";
import {given} from "./dom.js";

export const MOST = 100_000;  // records in one go
const PAGE = 1000;
const GROUP = 500;

// All that match, as they are now. `told` hears how many there are so far.
export async function matching({signal, told}) {
  const found = [];
  for (let cursor = null; ;) {
    const page = await call("POST", "/media/search", {body: {...given("search"), cursor, limit: PAGE}, signal});
    for (const record of page.items) found.push({pid: record.pid, size: record.content?.size ?? 0, revision: record.revision});
    told(found.length);
    cursor = page.next;
    if (cursor === null || found.length >= MOST) return {targets: found.slice(0, MOST), cut: cursor !== null || found.length > MOST};
  }
}

// What comes of it: calls `each(target, result)` for every record, in their order. What was done before an error or a stop is done.
export async function change(targets, item, {dryRun, signal, told, each}) {
  for (let at = 0; at < targets.length; at += GROUP) {
    signal.throwIfAborted();
    const group = targets.slice(at, at + GROUP);
    // A group that was sent is waited for: whoever stops knows how far it went.
    const answer = await call("POST", "/media/batch", {body: {items: group.map(item), dry_run: dryRun}, signal: dryRun ? signal : undefined});
    answer.items.forEach((result, index) => each(group[index], result));
    told(Math.min(at + GROUP, targets.length));
  }
}
