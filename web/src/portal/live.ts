/** The portal's stream: tells the queue what happened, and has it read as a whole whenever something may be missing. */

import { LiveStream } from "../lib/live.ts";
import type { StreamEvent } from "../lib/sse.ts";
import { changed, reload } from "./queue.ts";
import { isOver, openName } from "./session.ts";
import type { StateChange } from "./types.ts";

/** While there is no stream, and in case it told less than it should. */
const POLL_WITHOUT_MS = 15_000;
const POLL_BESIDE_MS = 120_000;

/** A hub that refuses the stream of a session that it knows is not asked all the time. */
const AFTER_REFUSAL_MS = 1_000;

let stream: LiveStream | null = null;
let poll: number | undefined;

export const liveState = (): LiveStream["state"] | null => stream?.state ?? null;

function changeOf(data: string): StateChange | null {
  try {
    const change = JSON.parse(data) as Partial<StateChange> | null;
    return typeof change?.request_id === "string" && typeof change.state === "string" ? (change as StateChange) : null;
  } catch {
    return null;
  }
}

function event({ kind, data }: StreamEvent): void {
  if (kind === "gap") void reload();
  if (kind !== "state_change") return;
  const change = changeOf(data);
  if (change !== null) changed(change);
}

/** Follows again unless the session is over. */
async function afterRefusal(): Promise<void> {
  const refused = stream;
  if (await isOver()) return;
  window.setTimeout(() => {
    if (stream === refused) refused?.start();
  }, AFTER_REFUSAL_MS);
}

function pollLater(): void {
  const isLive = stream?.state.peek() === "live";
  poll = window.setTimeout(() => {
    if (!document.hidden || !isLive) void reload();
    pollLater();
  }, isLive ? POLL_BESIDE_MS : POLL_WITHOUT_MS);
}

/** Follows what happens; the first reading of the queue is the stream's opening, or at once if that fails. */
export function startLive(): LiveStream["state"] {
  stopLive();
  const name = openName.peek();
  const path = name === null ? "/v1/events" : `/v1/events?${new URLSearchParams({ responder_id: name })}`;
  stream = new LiveStream(path, { opened: () => void reload(), event, refused: () => void afterRefusal() });
  stream.start();
  void reload();
  pollLater();
  return stream.state;
}

export function stopLive(): void {
  stream?.stop();
  stream = null;
  window.clearTimeout(poll);
}
