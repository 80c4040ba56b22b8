/* The page: connects its parts. */
import { cancelTask, inputSchema, waitsFor } from "./api.js";
import { showTask } from "./current.js";
import { announce, byId, notice } from "./dom.js";
import { applySchema, connectShape, fillFields, readFields } from "./form.js";
import { showHistory } from "./history.js";
import { forgetKey, keepKey, key } from "./key.js";
import { Pictures } from "./pictures.js";
import { resubmitted, submit } from "./submit.js";
import { Tasks } from "./tasks.js";
import { stylesOf, uriOf } from "./words.js";

const READY_MS = 3000;
const tasks = new Tasks();
const content = new Pictures(byId("content"), "content image", 1);
const styles = new Pictures(byId("styles"), "style image", 4);

function askForKey(message) {
  byId("key-form").hidden = false;
  byId("change-key").hidden = true;
  notice("key-error", message);
  byId("key").focus();
}

/** Use the key that is kept: it is valid if the server describes the app. */
async function begin() {
  try {
    const fields = await inputSchema();
    byId("key-form").hidden = true;
    byId("change-key").hidden = false;
    notice("key-error");
    applySchema(fields);
    styles.most = fields.style_images.maxItems;
    byId("styles-limit").textContent = `optional, up to ${fields.style_images.maxItems}`;
    await tasks.load();
    const task = await resubmitted();
    if (task) tasks.add(task);
  } catch (error) {
    if (error.status === 401) askForKey(error.message);
    else notice("request-error", error.message);
  }
}

async function generate(event) {
  event.preventDefault();
  if (!key()) return askForKey("Enter an API key first.");
  if (!byId("prompt").value.trim() && content.isEmpty && styles.isEmpty) {
    notice("request-error", "Describe the image, or add one: the request is empty.");
    return byId("prompt").focus();
  }
  const button = byId("generate");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  notice("request-error");
  announce("Sending the request");
  try {
    const input = readFields();
    const [contentUri] = await content.uris();
    const styleUris = await styles.uris();
    if (contentUri) input.content_image = contentUri;
    if (styleUris.length) input.style_images = styleUris;
    tasks.add(await submit(input));
    const current = byId("current"); // below the form on a phone
    if (current.getBoundingClientRect().top > innerHeight / 2) current.scrollIntoView();
  } catch (error) {
    if (error.status === 401) askForKey(error.message);
    else notice("request-error", error.message);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

async function cancel() {
  try {
    tasks.update(await cancelTask(tasks.selected.id));
  } catch (error) {
    notice("task-error", error.message);
  }
}

function useAgain() {
  const { input } = tasks.selected;
  fillFields(input);
  content.replace([uriOf(input.content_image)]);
  styles.replace(stylesOf(input));
  byId("prompt").focus();
  announce("The form has the settings of this request");
}

async function copy(event) {
  const source = byId(event.currentTarget.dataset.of);
  try {
    await navigator.clipboard.writeText(source.textContent);
    announce("Copied");
    event.target.textContent = "Copied";
  } catch {
    // Without https a page may not write to the clipboard; the text is selected instead.
    getSelection().selectAllChildren(source);
    announce("Selected; press the keys for copying");
  }
}

/** Say that the server is not ready, until it is. */
async function watchReadiness() {
  for (let reason = "unknown"; reason; ) {
    try {
      reason = await waitsFor();
      notice("ready", reason && `The server is not ready: ${reason}. Requests wait.`);
    } catch {
      notice("ready", "The server does not answer.");
    }
    if (reason) await new Promise((resolve) => setTimeout(resolve, READY_MS));
  }
}

function paste(event) {
  const isText = event.target.matches?.("input, textarea");
  if (isText && !event.clipboardData.files.length) return;
  const focused = [content, styles].find((each) => each.box.contains(document.activeElement));
  const place = focused ?? (content.isEmpty ? content : styles);
  if (place.take(event.clipboardData)) event.preventDefault();
}

function listen() {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = byId("key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(value)) return askForKey("A key has letters, digits and signs, and no spaces.");
    if (key() && key() !== value) [content, styles].forEach((each) => each.forgetUploads());
    keepKey(value, byId("remember").checked);
    byId("key").value = "";
    begin().then(() => byId("key-form").hidden && byId("prompt").focus());
  });
  byId("change-key").addEventListener("click", () => askForKey());
  const form = byId("request");
  form.addEventListener("submit", generate);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
  byId("cancel").addEventListener("click", cancel);
  byId("again").addEventListener("click", useAgain);
  byId("forget").addEventListener("click", () => {
    tasks.forget(tasks.selected.id);
    byId("current").focus();
  });
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", copy);
  document.addEventListener("paste", paste);
  // A file that misses its place must not replace the page.
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
  const show = () => {
    showTask(tasks.selected);
    showHistory(tasks.all, tasks.selected, (id) => tasks.select(id));
  };
  tasks.addEventListener("change", show);
  tasks.addEventListener("select", show);
  tasks.addEventListener("refused", () => {
    forgetKey();
    askForKey("This API key is no longer valid. Enter another one.");
  });
}

connectShape();
listen();
if (key()) begin();
else askForKey();
watchReadiness();
