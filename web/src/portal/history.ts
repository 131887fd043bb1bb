/** Requests that have ended, newest first, read page by page. */

import { computed, signal } from "@preact/signals";

import { asFailure, type Failure } from "../lib/failure.ts";
import * as hub from "./hub.ts";
import { matches } from "./order.ts";
import { outcomeOf } from "./outcome.ts";
import { openName } from "./session.ts";
import type { CoordinationRequest } from "./types.ts";

const PAGE = 100;

/** Every state that is an end. */
const ENDED = "RESPONDED,DELIVERED,TIMED_OUT,CANCELLED";

const found = signal<ReadonlyMap<string, CoordinationRequest>>(new Map());
const cursor = signal<string | null>(null);

export const isReading = signal(false);
export const isRead = signal(false);
export const failure = signal<Failure | null>(null);
export const hasMore = computed(() => cursor.value !== null);
export const words = signal("");
export const kind = signal("");

export const ended = computed(() => {
  const list = [...found.value.values()].sort((a, b) => (a.request_id < b.request_id ? 1 : -1));
  const wanted = words.value.trim();
  return list.filter((request) => (kind.value === "" || kindOf(request) === kind.value) && (wanted === "" || matches(request, wanted)));
});

/** What the filter of the history calls it. */
export function kindOf(request: CoordinationRequest): string {
  const outcome = outcomeOf(request);
  if (outcome.kind !== "answered") return outcome.kind;
  const decision = request.response_data?.["decision"];
  return decision === "approved" || decision === "rejected" ? decision : "answered";
}

function add(requests: readonly CoordinationRequest[]): void {
  const next = new Map(found.peek());
  for (const request of requests) next.set(request.request_id, request);
  found.value = next;
}

function filters(): Record<string, string> {
  const name = openName.peek();
  return name === null ? { state: ENDED } : { state: ENDED, responder_id: name };
}

/** Reads on, or from the newest when nothing was read yet. */
export async function more(): Promise<void> {
  if (isReading.peek()) return;
  isReading.value = true;
  try {
    const page = await hub.listRequests(filters(), PAGE, cursor.peek());
    add(page.requests);
    cursor.value = page.next_cursor ?? null;
    isRead.value = true;
    failure.value = null;
  } catch (error) {
    failure.value = asFailure(error);
  } finally {
    isReading.value = false;
  }
}

/** Reads what is new at the top. */
export async function refresh(): Promise<void> {
  if (!isRead.peek()) return more();
  try {
    add((await hub.listRequests(filters(), PAGE, null)).requests);
    failure.value = null;
  } catch (error) {
    failure.value = asFailure(error);
  }
}

export function reset(): void {
  found.value = new Map();
  cursor.value = null;
  isRead.value = false;
  failure.value = null;
  words.value = "";
  kind.value = "";
}
