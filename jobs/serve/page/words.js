/* Tasks in words. */

const WAITS = [1, 2];
const RUNS = 7;
const WORDS = {
  1: "Waiting",
  2: "Waiting",
  3: "Starting",
  4: "Loading the images",
  5: "Starting",
  6: "Loading the model",
  7: "Generating",
  8: "Cancelling after the step under way",
  9: "Saving",
  10: "Done",
  11: "Failed",
  12: "Cancelled",
};

/** The state of a task, with its place in the queue or its progress. */
export function stateOf(task) {
  const word = WORDS[task.status] ?? task.status_text;
  if (task.lost) return `${word}; the connection is lost, trying again`;
  if (isWithheld(task)) return "Withheld by the safety check";
  const before = task.queue_position;
  if (WAITS.includes(task.status) && typeof before === "number")
    return before === 0 ? `${word}: next in turn` : `${word}: ${before} before this one`;
  if (task.status === RUNS && task.steps) return `${word}: step ${task.steps.done} of ${task.steps.total}`;
  return word;
}

/** The images of a task. */
export const imagesOf = (task) =>
  task.output ? (task.output.images ?? [task.output.generated_image]) : [];

/** True if the safety check has failed the task; its images are blurred. */
export const isWithheld = (task) => task.status === 11 && Boolean(task.output);

/** The remark of the safety check about an image of a task; empty if there is none. */
export function remarkOf(task, place) {
  if (!task.output.has_nsfw_contents?.[place]) return "";
  return isWithheld(task)
    ? "Blurred: the safety check withheld this image. It also flags harmless ones; try another seed."
    : "Flagged by the safety check. It also flags harmless images.";
}

/** The style images of an input, in order. */
export const stylesOf = (input) =>
  [input.style_image, input.extra_style_image, ...(input.style_images ?? [])].map(uriOf).filter(Boolean);

/** The URI of an image in an input, where it may be an object. */
export const uriOf = (image) => image?.uri ?? image;

/** The numbers of a request in one line. */
export function factsOf(task) {
  const { width, height, num_steps: steps, guidance, seed } = task.input;
  const parts = [
    width && height && `${width} × ${height}`,
    steps && `${steps} steps`,
    guidance !== undefined && `guidance ${guidance}`,
    `seed ${seed}`,
    duration(task),
  ];
  return parts.filter(Boolean).join(" · ");
}

function duration(task) {
  const started = task.events.find((event) => event.status === RUNS);
  const ended = task.events.at(-1);
  if (!started || ended.status !== 10) return undefined;
  return `${((Date.parse(ended.event_time) - Date.parse(started.event_time)) / 1000).toFixed(1)} s`;
}
