/* Submits a request once, even if its answer is lost and the page is loaded again. */
import { RequestError, run } from "./api.js";

const NAME = "uso.pending";

const random = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function pending() {
  try {
    return JSON.parse(sessionStorage.getItem(NAME)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The request that an earlier load of the page has left; later ones are under way. */
const left = pending();

/** Submit an input, and return its task. */
export async function submit(input) {
  const earlier = pending();
  const isSame = earlier && JSON.stringify(earlier.input) === JSON.stringify(input);
  return send(isSame ? earlier : { input, once: random() });
}

/** Return the task of a request whose answer was lost; undefined if there is none. */
export async function resubmitted() {
  const earlier = pending();
  return earlier && earlier.once === left?.once ? send(earlier) : undefined;
}

async function send(request) {
  sessionStorage.setItem(NAME, JSON.stringify(request));
  try {
    const task = await run(request.input, request.once);
    sessionStorage.removeItem(NAME);
    return task;
  } catch (error) {
    // Only an answer tells that the request was refused.
    if (error instanceof RequestError && error.status !== 0) sessionStorage.removeItem(NAME);
    throw error;
  }
}
