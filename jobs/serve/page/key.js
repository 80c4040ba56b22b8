/* The API key: in this tab until it closes, or in this browser if the person wants that. */

const NAME = "uso.key";
const HISTORY = "uso.tasks.";
const MOST = 60;

/** The key; empty if there is none. */
export const key = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "";

export function keepKey(value, remember) {
  forgetKey();
  (remember ? localStorage : sessionStorage).setItem(NAME, value);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

/** The ids of this browser's tasks, the newest first; each key has its own. */
export function taskIds() {
  try {
    const ids = JSON.parse(localStorage.getItem(HISTORY + fingerprint(key())) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => /^[a-z]+$/.test(id)) : [];
  } catch {
    return [];
  }
}

export function keepTaskIds(ids) {
  localStorage.setItem(HISTORY + fingerprint(key()), JSON.stringify(ids.slice(0, MOST)));
}

/** A short name of a key that does not disclose it (FNV-1a). */
function fingerprint(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return (hash >>> 0).toString(16);
}
