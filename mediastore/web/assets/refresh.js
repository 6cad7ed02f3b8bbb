// Parts of this page as the server draws them at this moment, after something has changed.

import {tokenNow, Away, Refused} from "./api.js";

// Replaces the elements with these ids; what is typed elsewhere stays.
export async function refresh(...ids) {
  await tokenNow();  // asks for the password where the session has ended
  let answer;
  try {
    answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
  } catch {
    throw new Away();
  }
  if (!answer.ok) throw new Refused(answer.status, {detail: "the page can't be shown any more; load it again"});
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const [before, after] = [document.getElementById(id), page.getElementById(id)];
    if (before && after) before.replaceWith(document.adoptNode(after));
  }
}
