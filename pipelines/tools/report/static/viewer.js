/* One picture, or two with a slider between them, and the zoom of both. */
"use strict";

/** The distance of two pictures as text; undefined if it was not measured. */
uso.distance = (value) => (typeof value === "number" ? `${value.toFixed(1)} dB` : value ?? undefined);

(() => {
  const LEVELS = [1, 1.5, 2, 3, 4, 6, 8];
  const NEAR = 28; // pixels around the slider's handle

  /** The slider: what it covers, and its control. */
  const slider = (stage, under, over, labels) => {
    const handle = uso.el("span", { class: "handle", "aria-hidden": "true" });
    const sides = labels.map((label, index) => uso.el("span", { class: `side ${["left", "right"][index]}`, "aria-hidden": "true" }, label));
    const range = uso.el("input", { type: "range", class: "slide", min: 0, max: 100, step: 1, value: 50, "aria-label": `Border between ${labels[0]} and ${labels[1]}` });
    const cover = uso.el("div", { class: "over" }, over);
    const show = () => {
      cover.style.clipPath = `inset(0 0 0 ${range.value}%)`;
      handle.style.left = `${range.value}%`;
      range.setAttribute("aria-valuetext", `${range.value} % ${labels[0]}, ${100 - range.value} % ${labels[1]}`);
    };
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
      show();
    };
    const isNear = (event) => Math.abs(event.clientX - handle.getBoundingClientRect().left) < NEAR;
    range.addEventListener("input", show);
    stage.append(under, cover, handle, ...sides);
    show();
    return { range, follow, isNear };
  };

  /** Dragging moves the slider, or the picture if it is larger than its frame. */
  const drag = (pan, stage, slide, zoom) => {
    let how;
    let start;
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      how = slide && (zoom() === 1 || slide.isNear(event)) ? "slide" : zoom() > 1 && event.pointerType === "mouse" ? "pan" : undefined;
      if (!how) return;
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
      start = [event.clientX + pan.scrollLeft, event.clientY + pan.scrollTop];
      if (how === "slide") slide.follow(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!how || !stage.hasPointerCapture(event.pointerId)) return;
      if (how === "slide") slide.follow(event);
      else pan.scrollTo({ left: start[0] - event.clientX, top: start[1] - event.clientY, behavior: "instant" });
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (how = undefined));
  };

  /**
   * A viewer of a picture. With `other`, the two lie one over the other: `other` left, the picture right.
   * Each is `{label, sources, alt, why}`. The element has `zoomBy(steps, event)` and `toggleZoom(event)`.
   */
  uso.viewer = (picture, other) => {
    const stage = uso.el("div", { class: "stage" });
    const pan = uso.el("div", { class: "pan", tabindex: -1 }, stage);
    const shownPicture = uso.picture(picture.sources, picture.alt, picture.why, false);
    const slide = other && slider(stage, uso.picture(other.sources, other.alt, other.why, false), shownPicture, [other.label, picture.label]);
    if (!slide) stage.append(shownPicture);
    let level = 0;
    let ratio = 1;
    const zoom = () => LEVELS[level];
    const said = uso.el("output", { class: "level" }, "fit");

    const fit = () => {
      // The side of the frame: what the window leaves, in the picture's own shape.
      const width = Math.min(box.clientWidth || 600, Math.max(240, innerHeight - 220) * ratio);
      pan.style.width = `${width}px`;
      pan.style.height = `${width / ratio}px`;
      stage.style.width = `${width * zoom()}px`;
      stage.style.height = `${(width / ratio) * zoom()}px`;
      if (slide) slide.range.style.width = `${width}px`;
    };

    const setLevel = (next, event) => {
      const old = zoom();
      level = Math.max(0, Math.min(LEVELS.length - 1, next));
      // The point under the pointer stays there; without a pointer, the middle does.
      const frame = pan.getBoundingClientRect();
      const [x, y] = event?.clientX ? [event.clientX - frame.left, event.clientY - frame.top] : [frame.width / 2, frame.height / 2];
      const [left, top] = [pan.scrollLeft + x, pan.scrollTop + y].map((one) => (one * zoom()) / old);
      fit();
      pan.scrollTo({ left: left - x, top: top - y, behavior: "instant" });
      stage.classList.toggle("is-zoomed", level > 0);
      said.textContent = level ? `${zoom()} ×` : "fit";
    };

    const controls = uso.el(
      "div",
      { class: "zoom" },
      uso.button("−", () => box.zoomBy(-1), { "aria-label": "Zoom out" }),
      said,
      uso.button("+", () => box.zoomBy(1), { "aria-label": "Zoom in" }),
    );
    const box = uso.el("div", { class: slide ? "viewer slider" : "viewer" }, pan, slide?.range, controls);
    box.zoomBy = (steps, event) => setLevel(level + steps, event);
    box.toggleZoom = (event) => setLevel(level ? 0 : LEVELS.indexOf(3), event);

    const image = slide ? stage.querySelector(".over img") : stage.querySelector("img");
    const shape = () => {
      if (image.naturalWidth) ratio = image.naturalWidth / image.naturalHeight;
      fit();
    };
    image?.addEventListener("load", shape);
    stage.addEventListener("dblclick", (event) => box.toggleZoom(event));
    pan.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // a pinch on a trackpad, too
      event.preventDefault();
      box.zoomBy(event.deltaY < 0 ? 1 : -1, event);
    }, { passive: false });
    drag(pan, stage, slide, zoom);
    new ResizeObserver(fit).observe(box);
    return box;
  };
})();
