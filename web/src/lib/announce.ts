/** What is said to everybody who does not look: a live region's messages. Each stays long enough to be read. */

import { signal } from "@preact/signals";

export interface Message {
  id: number;
  text: string;
}

/** Messages of the status region, oldest first. */
export const messages = signal<readonly Message[]>([]);

const STAY_MS = 12_000;
const MOST = 5;
let next = 0;

/** Says something politely. */
export function announce(text: string): void {
  const message = { id: next++, text };
  messages.value = [...messages.peek().slice(1 - MOST), message];
  setTimeout(() => {
    messages.value = messages.peek().filter((other) => other.id !== message.id);
  }, STAY_MS);
}
