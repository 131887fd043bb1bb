/**
 * The stream of what happens at the hub. It is read with `fetch` instead of `EventSource`, which tells neither that nothing
 * comes any more nor why it was refused. It opens itself again, at once when the network is back.
 */

import { signal, type Signal } from "@preact/signals";

import { readClock, url } from "./api.ts";
import { EventReader, type StreamEvent } from "./sse.ts";

/** `connecting` is the first try. */
export type LiveState = "connecting" | "live" | "lost";

/** What the stream tells its owner. */
export interface Listener {
  /** It is open: what came before may have been missed. */
  opened(): void;
  event(event: StreamEvent): void;
  /** The session has ended. */
  refused(): void;
}

/** The hub sends a comment every 15 seconds. */
const SILENCE_MS = 40_000;
const OPENING_MS = 10_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

export class LiveStream {
  readonly state: Signal<LiveState> = signal("connecting");
  private controller: AbortController | null = null;
  private watchdog: number | undefined;
  private retry: number | undefined;
  private pause = FIRST_PAUSE_MS;
  private lastId: string | null = null;
  private isStopped = true;

  constructor(
    private readonly path: string,
    private readonly listener: Listener,
  ) {}

  start(): void {
    if (!this.isStopped) return;
    this.isStopped = false;
    window.addEventListener("online", this.hurry);
    window.addEventListener("offline", this.offline);
    document.addEventListener("visibilitychange", this.hurry);
    void this.open();
  }

  stop(): void {
    this.isStopped = true;
    window.removeEventListener("online", this.hurry);
    window.removeEventListener("offline", this.offline);
    document.removeEventListener("visibilitychange", this.hurry);
    window.clearTimeout(this.retry);
    window.clearTimeout(this.watchdog);
    this.controller?.abort();
  }

  /** Tries now if it is only waiting to try again. */
  private readonly hurry = (): void => {
    if (this.isStopped || this.retry === undefined || document.hidden) return;
    window.clearTimeout(this.retry);
    void this.open();
  };

  private readonly offline = (): void => {
    this.controller?.abort();
  };

  private async open(): Promise<void> {
    this.retry = undefined;
    const controller = new AbortController();
    this.controller = controller;
    let longer = 0;
    try {
      longer = await this.read(controller);
    } catch {
      // Whatever it was, the next try tells.
    }
    window.clearTimeout(this.watchdog);
    if (this.isStopped) return;
    this.state.value = "lost";
    const pause = Math.max(this.pause, longer) * (0.8 + Math.random() * 0.4);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.retry = window.setTimeout(() => void this.open(), pause);
  }

  /** Reads until the stream ends; how long the hub asks to wait, in milliseconds. */
  private async read(controller: AbortController): Promise<number> {
    this.watch(controller, OPENING_MS);
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastId !== null) headers["last-event-id"] = this.lastId;
    const answer = await fetch(url(this.path), { headers, cache: "no-store", signal: controller.signal });
    readClock(answer);
    if (answer.status === 401) {
      this.stop();
      this.listener.refused();
      return 0;
    }
    if (!answer.ok || answer.body === null) return Number(answer.headers.get("retry-after")) * 1000 || 0;
    this.state.value = "live";
    this.pause = FIRST_PAUSE_MS;
    this.listener.opened();
    await this.follow(answer.body.getReader(), controller);
    return 0;
  }

  private async follow(body: ReadableStreamDefaultReader<Uint8Array>, controller: AbortController): Promise<void> {
    const [events, decoder] = [new EventReader(), new TextDecoder()];
    for (;;) {
      this.watch(controller, SILENCE_MS);
      const { done, value } = await body.read();
      if (done) return;
      for (const event of events.read(decoder.decode(value, { stream: true }))) {
        if (event.id !== null) this.lastId = event.id;
        this.listener.event(event);
      }
    }
  }

  private watch(controller: AbortController, patience: number): void {
    window.clearTimeout(this.watchdog);
    this.watchdog = window.setTimeout(() => controller.abort(), patience);
  }
}
