/* The tasks of this browser: their ids are kept here, and the server is asked for the rest. */
import { getTask, newestTasks, stream } from "./api.js";
import { keepTaskIds, taskIds } from "./key.js";

const POLL_MS = 3000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export const COMPLETED = 10;
export const FAILED = 11;
export const hasEnded = (task) => task !== undefined && task.status >= COMPLETED;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Sends `change` for a task that changed or left, `select` for another selected one, and `refused`
 * if the key is no longer valid. The selected task is streamed, others are asked for now and then:
 * a browser opens only six connections to a server.
 */
export class Tasks extends EventTarget {
  #known = new Map();
  #ids = [];
  #selected;
  #following = new Set();
  #streaming = new AbortController();

  get all() {
    return this.#ids.map((id) => this.#known.get(id)).filter(Boolean);
  }

  get selected() {
    return this.#known.get(this.#selected);
  }

  /** Read the tasks of the present key. */
  async load() {
    this.#streaming.abort();
    this.#known.clear();
    this.#ids = taskIds();
    const newest = new Map((await newestTasks()).map((task) => [task.id, task]));
    for (const id of this.#ids) {
      const task = newest.get(id) ?? (await found(id));
      if (task) this.#known.set(id, task);
    }
    this.#ids = this.#ids.filter((id) => this.#known.has(id));
    keepTaskIds(this.#ids);
    this.#tell("change");
    this.select(this.#ids[0]);
    for (const task of this.all) this.#follow(task.id);
  }

  /** Add an accepted task, and select it. */
  add(task) {
    this.#ids = [task.id, ...this.#ids.filter((id) => id !== task.id)];
    keepTaskIds(this.#ids);
    this.update(task);
    this.select(task.id);
    this.#follow(task.id);
  }

  update(task) {
    if (!this.#ids.includes(task.id)) return;
    this.#known.set(task.id, task);
    this.#tell("change", task.id);
  }

  forget(id) {
    this.#ids = this.#ids.filter((other) => other !== id);
    this.#known.delete(id);
    keepTaskIds(this.#ids);
    this.#tell("change", id);
    if (this.#selected === id) this.select(this.#ids[0]);
  }

  select(id) {
    if (this.#selected !== id) this.#streaming.abort();
    this.#selected = id;
    this.#tell("select", id);
  }

  async #follow(id) {
    if (this.#following.has(id)) return;
    this.#following.add(id);
    let failures = 0;
    while (this.#known.has(id) && !hasEnded(this.#known.get(id))) {
      try {
        await (id === this.#selected ? this.#stream(id) : this.#poll(id));
        failures = 0;
      } catch (error) {
        if (error.status === 404) this.forget(id);
        else if (error.status === 401) this.#tell("refused");
        if (error.status === 401) break;
        if (error.name === "AbortError") continue; // another task was selected
        failures += 1;
        this.#lost(id);
        await sleep(Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS));
      }
    }
    this.#following.delete(id);
  }

  async #stream(id) {
    this.#streaming = new AbortController();
    for await (const task of stream(id, this.#streaming.signal)) this.update(task);
    if (!hasEnded(this.#known.get(id))) await sleep(FIRST_WAIT_MS);
  }

  async #poll(id) {
    this.update(await getTask(id));
    await sleep(POLL_MS);
  }

  #lost(id) {
    const task = this.#known.get(id);
    if (task) this.update({ ...task, lost: true });
  }

  #tell(type, id) {
    this.dispatchEvent(new CustomEvent(type, { detail: id }));
  }
}

async function found(id) {
  try {
    return await getTask(id);
  } catch (error) {
    if (error.status === 404) return undefined;
    throw error;
  }
}
