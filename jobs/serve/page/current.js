/* The selected task: its state, its images and the buttons for them. */
import { localUrl } from "./api.js";
import { announce, byId, el, notice } from "./dom.js";
import { picture, slider } from "./slider.js";
import { curlOf, pythonOf } from "./snippets.js";
import { COMPLETED, hasEnded } from "./tasks.js";
import { factsOf, imagesOf, isWithheld, remarkOf, stateOf, uriOf } from "./words.js";

let shown = ""; // the task and its images as they are on the page

/** Show a task; undefined shows none. */
export function showTask(task) {
  byId("empty").hidden = task !== undefined;
  byId("task").hidden = task === undefined;
  if (task === undefined) return;
  showState(task);
  const identity = `${task.id} ${imagesOf(task).map((image) => image.uri)}`;
  if (identity === shown) return;
  shown = identity;
  byId("task-prompt").textContent = task.input.prompt;
  byId("curl").textContent = curlOf(task.input);
  byId("python").textContent = pythonOf(task.input);
  showImages(task);
}

function showState(task) {
  const words = stateOf(task);
  if (byId("state").textContent !== words) {
    byId("state").textContent = words;
    announce(words);
  }
  const bar = byId("progress");
  bar.hidden = hasEnded(task);
  if (task.progress > 0) bar.value = task.progress;
  else bar.removeAttribute("value");
  notice("task-error", isWithheld(task) ? "" : task.error); // each image has a remark
  byId("facts").textContent = factsOf(task);
  const cancel = byId("cancel");
  if (hasEnded(task) && document.activeElement === cancel) byId("current").focus();
  cancel.hidden = hasEnded(task);
  cancel.disabled = task.status === 8;
  byId("download").hidden = task.status !== COMPLETED;
}

function showImages(task) {
  const images = imagesOf(task);
  const before = localUrl(uriOf(task.input.content_image));
  const stage = el("div");
  const show = (image, place) => {
    const source = localUrl(image.uri) ?? image.uri;
    const remark = remarkOf(task, place);
    const isBlurred = isWithheld(task) && remark;
    const alt = isBlurred ? "A blurred image" : `Generated: ${task.input.prompt || "no prompt"}`;
    stage.replaceChildren(
      before && !isBlurred ? slider(before, source, alt) : picture(source, alt),
      ...(remark ? [el("p", { class: "notice" }, remark)] : []),
    );
    byId("download").href = source;
    byId("download").download = image.filename;
  };
  const buttons = images.map((image, place) =>
    el("button", { type: "button", onclick: () => show(image, place) }, `Image ${place + 1}`),
  );
  byId("image").replaceChildren(stage, ...(buttons.length > 1 ? [el("div", { class: "row" }, buttons)] : []));
  if (images.length) show(images[0], 0);
}
