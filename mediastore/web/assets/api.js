// Calls of the API on behalf of who is logged in, and what to say when one fails.

const EARLY_MS = 60_000;  // a token is renewed this long before it ends
let token = null;
let endsAt = 0;
let asking = null;

export const loggedIn = document.body.dataset.user !== "";

export class Refused extends Error {
  // What the server said no to: `status`, `code`, and the other members of the problem as `told`.
  constructor(status, told, retryAfter = 0) {
    super(sentence(told.detail || `The server answered ${status}`));
    Object.assign(this, {status, code: told.code || "", told, retryAfter});
  }
}

export class Away extends Error {
  constructor() { super("The server does not answer. Check your connection; nothing that you typed is lost."); }
}

export function sentence(text) {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(said) ? said : `${said}.`;
}

// What to tell a person of any error.
export const said = error => error instanceof Refused || error instanceof Away ? error.message : sentence(`This page failed: ${error.message}; load it again`);

async function reach(url, options) {
  try {
    return await fetch(url, {cache: "no-store", redirect: "error", ...options});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
}

async function refusal(answer) {
  let told = {};
  try { told = await answer.json(); } catch { /* cut, or not from this server */ }
  return new Refused(answer.status, told, Number(answer.headers.get("Retry-After")) || 0);
}

function take(given) {
  token = given.access_token;
  endsAt = Date.now() + given.expires_in * 1000;
  return token;
}

async function ask() {
  const answer = await reach("/session", {method: "POST", headers: {Accept: "application/json"}});
  if (answer.ok) return take(await answer.json());
  if (answer.status !== 401) throw await refusal(answer);
  return logInAgain();
}

// The token for calls; by it the session stays alive. One question at a time, however many want to know.
export function tokenNow(fresh = false) {
  if (token && !fresh && Date.now() < endsAt - EARLY_MS) return Promise.resolve(token);
  asking ??= ask().finally(() => { asking = null; });
  return asking;
}

// A call of the API: its answer when that is a success, else `Refused` or `Away`. An ended session is begun again, where one is.
// `open`: the path itself says who may ask, and a log-in that ends meanwhile changes nothing. `once`: it is refused by 401 for what it
// says, and may not be sent twice.
export async function send(method, path, {body, headers = {}, signal, open = false, once = false} = {}) {
  const json = body !== undefined && !(body instanceof Blob);
  for (let again = false; ; again = true) {
    const all = {Accept: "application/json", ...headers};
    if (loggedIn && !open) all.Authorization = `Bearer ${await tokenNow(again)}`;
    if (json) all["Content-Type"] = "application/json";
    const answer = await reach(`/api/v1${path}`, {method, headers: all, body: json ? JSON.stringify(body) : body, signal, credentials: "omit"});
    if (answer.ok) return answer;
    if (answer.status !== 401 || again || open || once || !loggedIn) throw await refusal(answer);
  }
}

// The same, and the JSON of the answer; null where there is none.
export async function call(method, path, options = {}) {
  const answer = await send(method, path, options);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

// A PID or name as the end of a path.
export const pathOf = pid => encodeURIComponent(pid).replaceAll("%2F", "/").replaceAll("%3A", ":");

// In the page as it is, so that nothing typed is lost. Resolves with a token.
function logInAgain() {
  const dialog = document.getElementById("again");
  const form = dialog.querySelector("form");
  const trouble = form.querySelector(".trouble");
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Refused(401, {code: "login_required", detail: "your session has ended; log in again to go on"}));
    const submit = async event => {
      if (event.submitter?.value === "cancel") return;
      event.preventDefault();
      trouble.hidden = true;
      try {
        const said = new URLSearchParams({name: form.elements.name.value, password: form.elements.password.value});
        const answer = await reach("/login", {method: "POST", headers: {Accept: "application/json"}, body: said});
        if (!answer.ok) throw await refusal(answer);
        take(await answer.json());
        if (form.elements.name.value !== document.body.dataset.user) location.reload();  // somebody else's page now
        dialog.close("done");
      } catch (error) {
        trouble.textContent = said(error);
        trouble.hidden = false;
      }
    };
    const closed = () => {
      form.removeEventListener("submit", submit);
      dialog.removeEventListener("close", closed);
      form.elements.password.value = "";
      if (dialog.returnValue === "done") resolve(token); else ended();
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("close", closed);
    dialog.returnValue = "";
    dialog.showModal();
    form.elements.password.focus();
  });
}
