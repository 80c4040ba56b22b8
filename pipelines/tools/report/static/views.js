/* The three views of the page: pictures, matrix, numbers. Without JavaScript all of it is one page. */
"use strict";

(() => {
  const VIEWS = ["pictures", "matrix", "summary"];
  const places = new Map(); // view → how far down it was scrolled

  const shown = () => VIEWS.find((name) => uso.byId(name)?.hidden === false);

  /** Shows one of the views, where it was left. */
  uso.view = (name) => {
    const old = shown();
    if (old === name) return;
    places.set(old, scrollY);
    for (const one of VIEWS) {
      const section = uso.byId(one);
      if (section) section.hidden = one !== name;
      const link = document.querySelector(`.top nav a[href="#${one}"]`);
      if (one === name) link?.setAttribute("aria-current", "page");
      else link?.removeAttribute("aria-current");
    }
    scrollTo({ top: places.get(name) ?? 0, behavior: "instant" });
  };

  const follow = () => {
    const name = location.hash.slice(1);
    uso.view(VIEWS.includes(name) && uso.byId(name) ? name : "pictures");
  };

  addEventListener("hashchange", follow);
  document.documentElement.classList.add("has-views");
  for (const one of VIEWS) uso.byId(one)?.toggleAttribute("hidden", one !== "pictures");
  follow();
  document.querySelector(`.top nav a[href="#${shown()}"]`)?.setAttribute("aria-current", "page");
})();
