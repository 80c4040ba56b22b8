/* Two pictures compared: their distance, and one over the other with a slider. */
"use strict";

/** The distance of two pictures as text; undefined if it was not measured. */
uso.distance = (value) => (typeof value === "number" ? `${value.toFixed(1)} dB` : value ?? undefined);

/** Two pictures, each with its sources; arrow keys move the slider, and dragging does, too. */
uso.slider = (here, there, alt) => {
  const over = uso.el("div", { class: "over" }, uso.picture(there, `${alt}, there`, "no picture", false));
  const handle = uso.el("span", { class: "handle", "aria-hidden": "true" });
  const stage = uso.el(
    "div",
    { class: "stage" },
    uso.picture(here, `${alt}, here`, "no picture", false),
    over,
    handle,
    uso.el("span", { class: "side left", "aria-hidden": "true" }, "here"),
    uso.el("span", { class: "side right", "aria-hidden": "true" }, "there"),
  );
  const range = uso.el("input", {
    type: "range",
    min: 0,
    max: 100,
    step: 1,
    value: 50,
    "aria-label": "Where this run's picture ends and the other's begins",
  });
  // As wide as the picture, so that the ends of the slider are at its edges.
  const fit = (event) => {
    const { naturalWidth, naturalHeight } = event.target;
    if (naturalWidth) box.style.maxWidth = `calc(74vh * ${naturalWidth / naturalHeight})`;
  };
  const show = () => {
    over.style.clipPath = `inset(0 0 0 ${range.value}%)`;
    handle.style.left = `${range.value}%`;
    range.setAttribute("aria-valuetext", `${range.value} % here, ${100 - range.value} % there`);
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
  const box = uso.el("div", { class: "slider" }, stage, range);
  stage.querySelector("img")?.addEventListener("load", fit);
  show();
  return box;
};
