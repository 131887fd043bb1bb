/**
 * The requests that wait for this person, and what became of those that no longer do.
 *
 * The hub decides who sees what; this store asks it again whenever the stream tells of a change, and as a whole whenever
 * the stream was away. A request that leaves stays for a while as a line that says why.
 */

import { batch, computed, signal } from "@preact/signals";

import { asFailure, Failure } from "../lib/failure.ts";
import { forget, typedText } from "./drafts.ts";
import * as hub from "./hub.ts";
import { compare } from "./order.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { isCoordinator, isReader, openName, person } from "./session.ts";
import type { CoordinationRequest, StateChange } from "./types.ts";

/** Why a request is no longer in the queue. */
export interface Gone {
  outcome: Outcome;
  /** This person's own doing. */
  isOwn: boolean;
  /** What they had typed. */
  typed: string | null;
}

export interface Entry {
  request: CoordinationRequest;
  gone: Gone | null;
}

/** What other parts of the page do when something happens. */
export interface Watcher {
  arrived(requests: readonly CoordinationRequest[]): void;
  left(request: CoordinationRequest, gone: Gone): void;
}

/** A page of a list, and as many requests as a queue shows. */
const PAGE = 200;
const MOST = 1_000;

/** More changes at once than are worth asking for one by one. */
const MANY_CHANGES = 8;
const GATHER_MS = 100;
const MOST_GONE = 10;

export const entries = signal<ReadonlyMap<string, Entry>>(new Map());
export const loaded = signal(false);
export const loadFailure = signal<Failure | null>(null);
/** There are more than this page shows. */
export const isCut = signal(false);
/** Changes whenever a request anywhere ended, for the history. */
export const endings = signal(0);

export const sorted = computed(() => [...entries.value.values()].sort((a, b) => compare(a.request, b.request)));
export const waiting = computed(() => sorted.value.filter((entry) => entry.gone === null).map((entry) => entry.request));

const sending = new Set<string>();
/** Answered by this person: in a quorum they wait for others. */
const answered = new Set<string>();
let changes = new Map<string, StateChange>();
let gathering: number | undefined;
let watcher: Watcher = { arrived: () => undefined, left: () => undefined };

export function watch(other: Watcher): void {
  watcher = other;
}

function set(changed: readonly (readonly [string, Entry | null])[]): void {
  const next = new Map(entries.peek());
  for (const [id, entry] of changed) {
    if (entry === null) next.delete(id);
    else next.set(id, entry);
  }
  const gone = [...next].filter(([, entry]) => entry.gone !== null);
  gone.slice(0, Math.max(0, gone.length - MOST_GONE)).forEach(([id]) => next.delete(id));
  entries.value = next;
}

/** Takes a line about a request that left off the page. */
export function dismiss(id: string): void {
  if (entries.peek().get(id)?.gone != null) set([[id, null]]);
}

/** Forgets everything, for the next person. */
export function reset(): void {
  batch(() => {
    entries.value = new Map();
    loaded.value = false;
    loadFailure.value = null;
    isCut.value = false;
  });
  answered.clear();
  sending.clear();
  changes.clear();
}

/** Whether this person is asked, or steers those who are. */
function concerns(request: CoordinationRequest): boolean {
  const handle = person.peek()?.handle.toLowerCase();
  if (isCoordinator.peek() || isReader.peek()) return true;
  const { quorum } = request.routing_hints;
  const names = [request.responder_id, request.delegated_to ?? "", ...(quorum?.of ?? [])];
  return names.some((name) => name.toLowerCase() === handle);
}

/** Whether this person has voted already, where several decide together. */
function hasVoted(request: CoordinationRequest): boolean {
  const handle = person.peek()?.handle.toLowerCase();
  return answered.has(request.request_id) || (request.votes ?? []).some((vote) => vote.responder_id.toLowerCase() === handle);
}

function isWaiting(request: CoordinationRequest): boolean {
  return request.state === "PENDING_RESPONSE" && !hasVoted(request) && concerns(request);
}

async function listAll(): Promise<CoordinationRequest[]> {
  const filters: Record<string, string> = { state: "PENDING_RESPONSE" };
  if (openName.peek() !== null) filters["responder_id"] = openName.peek() ?? "";
  const found: CoordinationRequest[] = [];
  let cursor: string | null = null;
  do {
    const page = await hub.listRequests(filters, PAGE, cursor);
    found.push(...page.requests);
    cursor = page.next_cursor ?? null;
  } while (cursor !== null && found.length < MOST);
  isCut.value = cursor !== null;
  return found.filter(isWaiting);
}

/** One at a time; what is asked meanwhile is one more. */
let reading: Promise<void> | null = null;
let isAskedAgain = false;

/** Makes the queue what it is at the hub. */
export function reload(): Promise<void> {
  if (reading !== null) {
    isAskedAgain = true;
    return reading;
  }
  reading = readAll().finally(() => {
    reading = null;
    if (isAskedAgain) {
      isAskedAgain = false;
      void reload();
    }
  });
  return reading;
}

async function readAll(): Promise<void> {
  try {
    const found = await listAll();
    const isFirst = !loaded.peek();
    const known = entries.peek();
    const isNew = (request: CoordinationRequest): boolean => (known.get(request.request_id)?.gone ?? "new") !== null;
    const arrived = found.filter(isNew);
    const ids = new Set(found.map((request) => request.request_id));
    const missing = isCut.peek() ? [] : [...known].filter(([id, entry]) => entry.gone === null && !ids.has(id) && !sending.has(id));
    batch(() => {
      set(found.filter((request) => !sending.has(request.request_id)).map((request) => [request.request_id, { request, gone: null }]));
      loaded.value = true;
      loadFailure.value = null;
    });
    if (!isFirst && arrived.length > 0) watcher.arrived(arrived);
    await Promise.all(missing.slice(0, MANY_CHANGES * 2).map(([id]) => look(id, null)));
    set(missing.slice(MANY_CHANGES * 2).map(([id]) => [id, null]));
  } catch (error) {
    loadFailure.value = asFailure(error);
  }
}

/** Takes note of what the stream tells. */
export function changed(change: StateChange): void {
  if (["RESPONDED", "TIMED_OUT", "CANCELLED"].includes(change.state)) endings.value++;
  const isKnown = entries.peek().get(change.request_id)?.gone === null;
  // Of requests on their way nothing is to be seen yet, unless they were here.
  if (!isKnown && change.state !== "PENDING_RESPONSE") return;
  if (sending.has(change.request_id)) return;
  changes.set(change.request_id, change);
  gathering ??= window.setTimeout(() => void follow(), GATHER_MS);
}

async function follow(): Promise<void> {
  gathering = undefined;
  const told = [...changes.values()];
  changes = new Map();
  if (told.length > MANY_CHANGES) await reload();
  else await Promise.all(told.map((change) => look(change.request_id, change)));
}

/** Asks for one request and puts it where it belongs. */
async function look(id: string, change: StateChange | null): Promise<void> {
  const before = entries.peek().get(id);
  let request: CoordinationRequest;
  try {
    request = await hub.findRequest(id);
  } catch (error) {
    const { status } = asFailure(error);
    if ((status === 404 || status === 403) && before?.gone === null) {
      depart(before.request, { kind: "moved", who: change?.responder_id ?? null });
    }
    return;
  }
  if (sending.has(id)) return;
  if (isWaiting(request)) {
    const isNew = before === undefined || before.gone !== null;
    set([[id, { request, gone: null }]]);
    if (isNew) watcher.arrived([request]);
    return;
  }
  if (before === undefined || before.gone !== null) return;
  const outcome = outcomeOf(request);
  // Their own answer may have come from another window, or its confirmation been lost.
  const isOwn = outcome.kind === "answered" && outcome.who.toLowerCase() === person.peek()?.handle.toLowerCase();
  if (outcome.kind !== "open") depart(request, outcome, isOwn);
  else if (!concerns(request)) depart(request, { kind: "moved", who: request.responder_id });
}

function depart(request: CoordinationRequest, outcome: Outcome, isOwn = false): void {
  const id = request.request_id;
  const gone: Gone = { outcome, isOwn, typed: isOwn ? null : typedText(id) };
  forget(id);
  set([[id, { request, gone }]]);
  watcher.left(request, gone);
}

/** Shows a request that a link names, whatever its state. */
export async function show(id: string): Promise<void> {
  if (entries.peek().has(id)) return;
  const request = await hub.findRequest(id);
  const ended = outcomeOf(request);
  const outcome: Outcome = ended.kind === "open" ? { kind: "moved", who: request.responder_id } : ended;
  set([[id, { request, gone: isWaiting(request) ? null : { outcome, isOwn: false, typed: null } }]]);
}

/** Sends an answer. What refuses it is thrown, unless the request has left meanwhile: then that is shown instead. */
export async function answer(request: CoordinationRequest, data: Record<string, unknown>): Promise<void> {
  const id = request.request_id;
  await whileSending(id, async () => {
    await hub.respond(id, data, openName.peek());
    answered.add(id);
    const who = person.peek()?.handle ?? "";
    const told = { ...request, state: "RESPONDED", response_data: data, responded_by: who };
    depart(told, { kind: "answered", who, isAutomatic: false }, true);
  });
}

/** Withdraws a request on behalf of its organisation. */
export async function cancel(request: CoordinationRequest): Promise<void> {
  await whileSending(request.request_id, async () => {
    await hub.cancel(request.request_id);
    depart({ ...request, state: "CANCELLED" }, { kind: "cancelled" }, true);
  });
}

/** Hands a request to another person. */
export async function reassign(request: CoordinationRequest, responder: string): Promise<void> {
  await hub.reassign(request.request_id, responder);
  const moved = { ...request, responder_id: responder };
  if (concerns(moved)) set([[request.request_id, { request: moved, gone: null }]]);
  else depart(moved, { kind: "moved", who: responder }, true);
}

/** Lets another person answer until then as well. */
export async function delegate(request: CoordinationRequest, responder: string, until: Date): Promise<void> {
  await hub.delegate(request.request_id, responder, until.toISOString());
  set([[request.request_id, { request: { ...request, delegated_to: responder, delegated_until: until.toISOString() }, gone: null }]]);
}

async function whileSending(id: string, work: () => Promise<void>): Promise<void> {
  if (sending.has(id)) return;
  sending.add(id);
  try {
    await work();
  } catch (error) {
    sending.delete(id);
    const failure = asFailure(error);
    if (failure.status !== 409 && failure.status !== 404) {
      // What the stream told meanwhile was passed over.
      void look(id, null);
      throw failure;
    }
    await look(id, null);
    // It is still here: what the hub says against it concerns the answer.
    if (entries.peek().get(id)?.gone === null) throw failure;
  } finally {
    sending.delete(id);
  }
}
