/* The form of the filters: one control for each column, and a chip for each filter in use. */
"use strict";

(() => {
  const form = uso.byId("filters");
  const more = uso.byId("more");
  const toggle = uso.byId("more-toggle");
  const chips = uso.byId("chips");

  const pick = ({ name, values, none }) => {
    const options = [["", "all"], ...values.map(({ text, rows }) => [`=${text}`, `${text} (${uso.count(rows)})`])];
    if (none) options.push(["none", `none (${uso.count(none)})`]);
    return uso.field(name, uso.select(`pick:${name}`, options));
  };

  const text = (name) =>
    uso.field(name, uso.el("input", { name: `text:${name}`, type: "search", placeholder: "contains", autocomplete: "off", spellcheck: "false" }));

  const range = ({ name, min, max, meaning }) => {
    const bound = (which, value, sign, label) =>
      uso.el("input", { name: `${which}:${name}`, type: "number", step: "any", placeholder: `${sign} ${uso.number(value)}`, "aria-label": `${name}, ${label}` });
    return uso.el(
      "div",
      { class: "range", role: "group", "aria-label": name, title: meaning },
      uso.el("bdi", {}, name),
      bound("min", min, "≥", "at least"),
      bound("max", max, "≤", "at most"),
    );
  };

  const styles = (all) => {
    const names = new Map();
    for (const { name } of all) names.set(name, (names.get(name) ?? 0) + 1);
    const options = all.map((style) => {
      const label = names.get(style.name) > 1 ? style.uri : style.name;
      return uso.el("option", { value: style.uri }, `${label} (${uso.count(style.rows)})`);
    });
    form.elements.style.append(...options);
    uso.byId("style-label").hidden = !all.length;
  };

  const orders = () => {
    const best = (better, which) => (better === which ? " (best)" : "");
    const options = uso.boot.numbers.flatMap(({ name, better }, index) => [
      uso.el("option", { value: `${index}d` }, `${name}, highest first${best(better, "higher")}`),
      uso.el("option", { value: `${index}u` }, `${name}, lowest first${best(better, "lower")}`),
    ]);
    form.elements.order.append(...options);
  };

  const shows = () => {
    const options = [["results", "results"], ["both", "both runs"], ["inputs", "with inputs"]].filter(([value]) => value !== "both" || uso.boot.against);
    form.elements.show.append(...options.map(([value, label]) => uso.el("option", { value }, label)));
  };

  /** Adds the controls of the columns, which the data files name. */
  uso.buildForm = async () => {
    orders();
    shows();
    const facets = await uso.facets();
    styles(facets.styles);
    const controls = [...uso.boot.numbers.map(range), ...facets.picks.map(pick), ...uso.boot.texts.map(text)];
    uso.byId("columns").append(...controls);
  };

  uso.toggleFilters = (open = more.hidden) => {
    more.hidden = !open;
    form.classList.toggle("is-open", open);
    toggle.setAttribute("aria-expanded", open);
  };
  toggle.addEventListener("click", () => uso.toggleFilters());

  const LABELS = { q: "text", marks: "choice", compare: "compared" };
  const SIGNS = { pick: "", text: "contains ", min: "≥ ", max: "≤ " };

  /** The words of a filter: its name and its value. */
  const described = (name, value) => {
    const [kind, column] = name.includes(":") ? [name.slice(0, name.indexOf(":")), name.slice(name.indexOf(":") + 1)] : ["", name];
    const control = form.elements.namedItem(name);
    const chosen = control?.selectedOptions?.[0]?.textContent ?? (kind === "pick" ? value.replace(/^=/, "") : value);
    return [LABELS[column] && !kind ? LABELS[column] : column, `${SIGNS[kind] ?? ""}${chosen}`];
  };

  /** Shows a chip for each filter; pressing it takes the filter away. */
  uso.showChips = (state, without) => {
    const filters = [...state.values].filter(([name]) => name !== "order" && name !== "show");
    chips.replaceChildren(
      ...filters.map(([name, value]) => {
        const [what, which] = described(name, value);
        return uso.button([uso.el("bdi", {}, `${what}: ${which}`), uso.el("span", { "aria-hidden": "true" }, " ✕")], () => without(name), { class: "chip", title: "Take this filter away" });
      }),
    );
    chips.hidden = !filters.length;
    const count = filters.filter(([name]) => name !== "q").length;
    uso.byId("more-count").textContent = count ? ` ${count}` : "";
  };
})();
