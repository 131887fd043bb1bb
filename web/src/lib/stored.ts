/** What this browser remembers: preferences, and nothing secret. A browser that refuses to remember is none the worse. */

import { effect, signal, type Signal } from "@preact/signals";

const PREFIX = "hub.prefs.";

function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** A preference, kept and followed by the other tabs. */
export function stored<T extends string>(key: string, known: readonly T[], otherwise: T): Signal<T> {
  const check = (value: string | null): T => known.find((one) => one === value) ?? otherwise;
  const value = signal(check(read(key)));
  let isChosen = false;
  effect(() => {
    const chosen = value.value;
    // What nobody chose is not kept: it may be another tomorrow.
    if (!isChosen) {
      isChosen = true;
      return;
    }
    try {
      localStorage.setItem(PREFIX + key, chosen);
    } catch {
      // It holds while the page is open.
    }
  });
  window.addEventListener("storage", (event) => {
    if (event.key === PREFIX + key) value.value = check(event.newValue);
  });
  return value;
}
