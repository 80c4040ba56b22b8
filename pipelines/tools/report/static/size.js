/* The size of the pictures, which the browser keeps for all reports. */
"use strict";

(() => {
  const KEY = "uso-report-size";
  const STEPS = [96, 120, 150, 180, 220, 270, 330, 400, 500, 640];
  const control = uso.byId("size");
  let grid;
  let own = 4; // number of a step

  const kept = () => {
    try {
      return Number(localStorage.getItem(KEY) ?? own);
    } catch {
      return own; // storage is switched off
    }
  };

  const apply = (number) => {
    own = Math.max(0, Math.min(STEPS.length - 1, Math.round(number) || 0));
    control.value = own;
    control.setAttribute("aria-valuetext", `${STEPS[own]} pixels`);
    grid.resize(STEPS[own]);
    try {
      localStorage.setItem(KEY, own);
    } catch {
      // Storage is switched off: the size lasts as long as the page.
    }
  };

  /** Gives the pictures the chosen size again. */
  uso.ownSize = () => grid.resize(STEPS[own]);

  uso.stepSize = (step) => apply(own + step);

  uso.startSize = (of) => {
    grid = of;
    control.max = STEPS.length - 1;
    control.addEventListener("input", () => apply(Number(control.value)));
    apply(kept());
  };
})();
