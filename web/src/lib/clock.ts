/** One tick per second for everything that counts down, in the hub's time, while the page is visible. */

import { effect, signal } from "@preact/signals";

import { clockAhead } from "./api.ts";

/** Now at the hub, in milliseconds since the epoch; changes once a second. */
export const now = signal(Date.now());

let timer: number | undefined;

function tick(): void {
  now.value = Date.now() + clockAhead.peek();
  // In step with the seconds, so that a late tick does not add up.
  timer = window.setTimeout(tick, 1000 - (now.peek() % 1000) + 5);
}

/** Starts the ticks; they rest while nobody sees them. */
export function startClock(): void {
  const follow = (): void => {
    window.clearTimeout(timer);
    if (!document.hidden) tick();
  };
  document.addEventListener("visibilitychange", follow);
  effect(() => {
    clockAhead.value;
    follow();
  });
}
