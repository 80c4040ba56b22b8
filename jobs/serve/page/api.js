/* Requests to the server that this page comes from. */
import { key } from "./key.js";

const page = new URL(".", location.href);
export const APP = "infsh/bytedance-uso";
export const baseUrl = page.origin + page.pathname.replace(/\/$/, "");
const MEDIA = /\/media\/[a-z]+\/[^/?#]+\?e=\d+&s=[0-9a-f]+$/;

/** A request that was refused (`status` is that of HTTP), or got no answer (0). */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The address of an own file as this page reaches it; undefined for any other URL. */
export function localUrl(uri) {
  const found = typeof uri === "string" ? uri.match(MEDIA) : null;
  return found ? baseUrl + found[0] : undefined;
}

async function call(path, options = {}) {
  const headers = { Authorization: `Bearer ${key()}`, "X-API-Version": "2", ...options.headers };
  let response;
  try {
    response = await fetch(`${baseUrl}/${path}`, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RequestError("The server does not answer. Check your network, then try again.", 0);
  }
  if (response.ok) return response;
  throw new RequestError(await reason(response), response.status);
}

async function reason(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string" && detail) return detail;
  } catch {
    // A proxy may answer in its own form.
  }
  return `The server answered ${response.status} ${response.statusText}`.trim();
}

const json = (value, headers = {}) => ({
  method: "POST",
  body: JSON.stringify(value),
  headers: { "Content-Type": "application/json", ...headers },
});

/** The ranges of the input's fields, by name. */
export async function inputSchema() {
  const app = await (await call(`apps/${APP}`)).json();
  return app.version.input_schema.properties;
}

/** The reason for which the server cannot generate yet; empty if it can. */
export async function waitsFor() {
  const response = await fetch(`${baseUrl}/readyz`, { cache: "no-store" });
  const { ready, reason: why } = await response.json();
  return ready ? "" : why || "starting";
}

/** Upload a file and return its URI. */
export async function upload(file) {
  const body = new FormData();
  body.append("file", file, file.name || "image.png");
  return (await (await call("files", { method: "POST", body })).json()).uri;
}

/** Submit a request; with the same `once` it is accepted once. */
export const run = async (input, once) =>
  (await call("apps/run", json({ app: APP, input }, { "Idempotency-Key": once }))).json();

export const getTask = async (id) => (await call(`tasks/${id}`)).json();
export const cancelTask = async (id) => (await call(`tasks/${id}/cancel`, json({}))).json();
export const newestTasks = async () => (await (await call("tasks/list", json({ limit: 100 }))).json()).items;

/** The task at each change, until the server ends the stream. */
export async function* stream(id, signal) {
  const response = await call(`tasks/${id}/stream`, {
    headers: { Accept: "application/x-ndjson" },
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}
