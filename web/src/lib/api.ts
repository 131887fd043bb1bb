/** Calls of the hub: JSON in and out, with the session's cookie, and every refusal as a {@link Failure}. */

import { signal } from "@preact/signals";

import { Failure, failureOf } from "./failure.ts";
import { base } from "./page.ts";

/** How far the hub's clock is ahead of this one, in milliseconds. */
export const clockAhead = signal(0);

/** Longer than the hub takes for anything that a page asks for. */
const PATIENCE_MS = 20_000;

/** A difference that the network may make, and one that nobody reads off a countdown. */
const SMALL_DIFFERENCE_MS = 2_000;

/** The address of a path of the hub. */
export function url(path: string): string {
  return base + path;
}

/** Learns from an answer what time it is at the hub. */
export function readClock(answer: Response): void {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  // The header has whole seconds, on average half a second ago.
  const ahead = date + 500 - Date.now();
  const is = Math.abs(ahead) < SMALL_DIFFERENCE_MS ? 0 : ahead;
  if (Math.abs(is - clockAhead.peek()) > SMALL_DIFFERENCE_MS / 2) clockAhead.value = is;
}

/** Sends one request and reads its answer. */
export async function call<T>(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) };
  init.headers = { accept: "application/json" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(url(path), init);
  } catch (error) {
    throw new Failure(0, error instanceof Error ? error.message : String(error));
  }
  readClock(answer);
  const read: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw failureOf(answer.status, read, answer.headers.get("retry-after"));
  return read as T;
}
