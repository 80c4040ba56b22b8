/* The fields of the form, and the input of a request that they stand for. */
import { byId } from "./dom.js";

const NUMBERS = ["width", "height", "num_steps", "guidance", "seed", "content_long_size", "num_images"];
const DEFAULTS = { num_steps: 25, guidance: 4, content_long_size: 512, num_images: 1 };
const SIDE = 1024; // of a square, where the model goes that far

/** Apply the ranges of the model to the fields. */
export function applySchema(properties) {
  for (const name of NUMBERS) {
    const { minimum, maximum, multipleOf } = properties[name] ?? {};
    const field = byId(name);
    if (minimum !== undefined) field.min = minimum;
    if (maximum !== undefined) field.max = maximum;
    if (multipleOf !== undefined) field.step = multipleOf;
    if (field.value !== "" && Number(field.value) > maximum) field.value = maximum;
  }
}

/** The input of a request, without its images; an empty field is left to the server. */
export function readFields() {
  const input = { prompt: byId("prompt").value };
  for (const name of NUMBERS) {
    const field = byId(name);
    if (field.value !== "") input[name] = field.valueAsNumber;
  }
  if (byId("keep_size").checked) input.keep_size = true;
  return input;
}

/** Fill the fields with the input of an earlier request. */
export function fillFields(input) {
  byId("prompt").value = input.prompt ?? "";
  for (const name of NUMBERS) byId(name).value = input[name] ?? DEFAULTS[name] ?? "";
  byId("keep_size").checked = input.keep_size === true;
  byId("shape").value = input.width || input.height ? "other" : "";
}

/** Let a shape set width and height, and a size of one's own set the shape. */
export function connectShape() {
  const [shape, width, height] = ["shape", "width", "height"].map(byId);
  shape.addEventListener("change", () => {
    if (shape.value === "other") return width.focus();
    const [across, down] = shape.value.split(":").map(Number);
    width.value = shape.value ? sideOf(width, across / down) : "";
    height.value = shape.value ? sideOf(height, down / across) : "";
  });
  for (const field of [width, height])
    field.addEventListener("input", () => {
      shape.value = width.value || height.value ? "other" : "";
    });
}

function sideOf(field, ratio) {
  const [least, most, step] = [Number(field.min) || 16, Number(field.max) || 1536, Number(field.step) || 16];
  const side = Math.min(SIDE, most / Math.sqrt(16 / 9)) * Math.sqrt(ratio);
  return Math.min(most, Math.max(least, Math.round(side / step) * step));
}
