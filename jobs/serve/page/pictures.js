/* A place for images: chosen, dropped or pasted files, URLs, and uploads of earlier requests. */
import { localUrl, upload } from "./api.js";
import { announce, el, notice } from "./dom.js";

const KINDS = "image/*,.heic,.heif,.avif,.tif,.tiff";

export class Pictures {
  #items = [];
  #most;
  #what;
  #list = el("ul", { class: "thumbs" });
  #input;

  /** Builds the place in a fieldset; `what` names one image, and `most` may be shown. */
  constructor(box, what, most) {
    this.box = box;
    this.#what = what;
    this.#most = most;
    this.#input = el("input", {
      type: "file",
      accept: KINDS,
      multiple: most > 1,
      hidden: true,
      "aria-label": `File of the ${what}`,
      onchange: () => {
        this.add([...this.#input.files]);
        this.#input.value = "";
      },
    });
    const choose = () => this.#input.click();
    const button = el("button", { type: "button", class: "choose", onclick: choose }, `Choose ${what}`);
    const hint = el("span", { class: "soft hint" }, "or drop or paste it here");
    box.append(this.#list, el("div", { class: "row" }, button, hint), this.#input);
    box.addEventListener("dragover", (event) => {
      event.preventDefault();
      box.classList.add("over");
    });
    box.addEventListener("dragleave", () => box.classList.remove("over"));
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      box.classList.remove("over");
      this.take(event.dataTransfer);
    });
  }

  set most(value) {
    this.#most = value;
  }

  get isEmpty() {
    return this.#items.length === 0;
  }

  /** Add the images of a drop or a paste; return false if there are none. */
  take(transfer) {
    const files = [...transfer.files];
    if (files.length) return this.add(files);
    const link = (transfer.getData("text/uri-list") || transfer.getData("text/plain")).trim();
    return /^https?:\/\/\S+$/i.test(link) && this.add([link]);
  }

  /** Add files and URIs; one place for one image replaces it. */
  add(given) {
    notice("request-error");
    const other = given.find((each) => each.type && !each.type.startsWith("image/"));
    if (other) {
      notice("request-error", `${other.name} is not an image.`);
      return true;
    }
    const items = given.map((each) =>
      typeof each === "string"
        ? { uri: each, shown: localUrl(each), name: each }
        : { file: each, shown: URL.createObjectURL(each), name: each.name },
    );
    if (this.#most === 1) this.set(items.slice(-1));
    else this.set([...this.#items, ...items]);
    announce(`${this.#what}: ${this.#items.length} chosen`);
    return true;
  }

  /** Take URIs in place of the present images. */
  replace(uris) {
    this.set([]);
    const usable = uris.filter((uri) => typeof uri === "string" && !uri.startsWith("data:"));
    if (usable.length) this.add(usable);
  }

  set(items) {
    for (const old of this.#items)
      if (old.file && !items.includes(old)) URL.revokeObjectURL(old.shown);
    this.#items = items.slice(0, this.#most);
    if (items.length > this.#most)
      notice("request-error", `At most ${this.#most} images fit here; the others were left out.`);
    this.#list.replaceChildren(...this.#items.map((item) => this.#thumb(item)));
  }

  /** Upload the files that are not on the server yet, and return the URIs of all images. */
  async uris() {
    for (const item of this.#items) item.uri ??= await upload(item.file);
    return this.#items.map((item) => item.uri);
  }

  /** Upload files again at the next request, e.g. for another key. */
  forgetUploads() {
    this.set(this.#items.filter((item) => item.file));
    for (const item of this.#items) item.uri = undefined;
  }

  #thumb(item) {
    const name = el("span", { class: "name", dir: "auto" }, item.name);
    const image = item.shown ? el("img", { src: item.shown, alt: item.name }) : name;
    image.addEventListener("error", () => image.replaceWith(name));
    const remove = () => {
      this.set(this.#items.filter((other) => other !== item));
      this.box.querySelector(".choose").focus();
    };
    const label = `Remove ${this.#what} ${item.name}`;
    return el("li", {}, image, el("button", { type: "button", "aria-label": label, onclick: remove }, "×"));
  }
}
