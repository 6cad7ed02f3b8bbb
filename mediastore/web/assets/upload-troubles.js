// What keeps a file from being stored, in sentences that say what to do next, and what can be done: names of buttons.

import {Away, Refused, said} from "./api.js";
import {StoreAway, StoreRefused} from "./upload-patience.js";
import {FileChanged, UploadGone} from "./upload-transfer.js";

const ANOTHER = ["rename", "leave"];
const AGAIN = ["again", "leave"];

const NEXT = {
  quota_exceeded: "Delete what is not needed, choose another store, or ask an administrator for more room; then try again.",
  allowance_exceeded: "Delete what is not needed, or ask for more room; then try again.",
  store_full: "Try again when an administrator has made room, or choose another store.",
  upload_too_large: "Choose another store, or ask an administrator to raise the limit.",
  store_disabled: "Choose another store, and try again.",
  store_unknown: "Choose another store, and try again.",
  not_allowed: "Ask its owner, or upload it under another PID.",
};
const NAMES = new Set(["pid_invalid", "pattern_broken"]);

// {text, choices}: of again (as it is), fields (again, with what the form says now), over (a new version), rename, anew, leave.
export function trouble(error, item) {
  const pid = item.asked?.pid;
  if (error instanceof FileChanged) {
    return {text: "The file was changed, moved or deleted since it was chosen, so what was sent is not used. Choose it again, as it is now.", choices: ["choose", "leave"]};
  }
  if (error instanceof UploadGone) return {text: "The server has given this upload up in the meantime. Begin it again.", choices: ["anew", "leave"]};
  if (error instanceof StoreAway) {
    return {text: "The store can't be reached from this browser, though the server can. Try again; if it stays so, ask an administrator to probe the store for pages of this address (CORS).", choices: AGAIN};
  }
  if (error instanceof StoreRefused) {
    const what = error.code ? `${error.status}, ${error.code}` : error.status;
    return {text: `The store refused the bytes (${what}): ${said({message: error.message, ...error})}`, choices: ["anew", "leave"]};
  }
  if (error instanceof Refused) return refused(error, pid);
  return {text: error instanceof Away ? said(error) : `This page failed: ${error.message}. Load it again; uploads go on where they were.`, choices: AGAIN};
}

function refused(error, pid) {
  if (error.code === "precondition_failed") {
    return {text: `There is a record ${pid} with content already. Is this a new version of it, or something else that needs another PID?`, choices: ["over", "rename", "leave"], clash: true};
  }
  if (["pid_taken", "record_gone", "record_not_found"].includes(error.code)) {
    return {text: `The PID ${pid} is taken, by a record that is gone or that you may not see; PIDs are given out once. Choose another.`, choices: ANOTHER};
  }
  if (NAMES.has(error.code)) return {text: error.message, choices: ["rename", "fields", "leave"]};
  if (error.code === "digest_mismatch") return {text: `What arrived is not what this browser read: ${error.message} Send it again.`, choices: ["anew", "leave"]};
  if (error.status === 422 || error.status === 413 || NEXT[error.code]) {
    return {text: `${error.message}${NEXT[error.code] ? ` ${NEXT[error.code]}` : ""}`, choices: ["fields", "leave"]};
  }
  return {text: error.message, choices: AGAIN};
}
