/* Two pictures, one over the other, with a slider between them. */
import { el } from "./dom.js";

/** Arrow keys move the slider, and dragging does, too; a `before` that does not load is left out. */
export function slider(before, after, alt) {
  const over = el("img", { src: after, alt, class: "over" });
  const under = el("img", { src: before, alt: "The content image" });
  const handle = el("span", { class: "handle", "aria-hidden": "true" });
  const labels = ["before", "after"].map((side) =>
    el("span", { class: `side ${side}`, "aria-hidden": "true" }, side),
  );
  const stage = el("div", { class: "stage" }, under, over, handle, labels);
  const range = el("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 50,
    "aria-label": "Border between before and after",
  });
  const show = () => {
    over.style.clipPath = `inset(0 0 0 ${range.value}%)`;
    handle.style.left = `${range.value}%`;
    range.setAttribute("aria-valuetext", `${range.value} % before, ${100 - range.value} % after`);
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  range.addEventListener("input", show);
  // The generated image decides about the shape; the content image is laid under it.
  over.addEventListener("load", () => {
    const ratio = over.naturalWidth / over.naturalHeight;
    stage.style.aspectRatio = ratio;
    box.style.maxWidth = `calc(75vh * ${ratio})`; // the slider is as wide as the image
  });
  const box = el("div", { class: "slider" }, stage, range);
  under.addEventListener("error", () => box.replaceWith(picture(after, alt)));
  show();
  return box;
}

/** One picture; a text takes its place if it does not load. */
export function picture(source, alt) {
  const image = el("img", { src: source, alt, class: "picture" });
  image.addEventListener("error", () =>
    image.replaceWith(el("p", { class: "soft missing" }, "The image has expired.")),
  );
  return image;
}
