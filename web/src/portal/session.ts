/** Who is logged in. */

import { computed, signal } from "@preact/signals";

import { asFailure } from "../lib/failure.ts";
import * as hub from "./hub.ts";
import type { Person } from "./types.ts";

/** `asking` until the hub has said; `ended` is a session that was there before. */
export type Access = "asking" | "none" | "ended" | "in" | "unreachable";

export const access = signal<Access>("asking");
export const person = signal<Person | null>(null);
/** The organisation that the session belongs to. */
export const org = signal<string | null>(null);
export const config = signal<hub.PortalConfig>({});

/** The session came from a link, so its person may not have a password yet. */
export const cameByLink = signal(false);

/** Under which name answers go when nobody logs in. */
export const openName = computed(() => (config.value.open_portal === true ? (person.value?.handle ?? null) : null));

/** Whether this person steers requests that are not addressed to them. */
export const isCoordinator = computed(() => ["admin", "coordinator"].includes(person.value?.role ?? ""));

/** Whether this person reads and changes nothing. */
export const isReader = computed(() => ["auditor", "viewer"].includes(person.value?.role ?? ""));

/** The name in the address: whose queue is wanted. */
export const wantedResponder = (): string | null => new URLSearchParams(location.search).get("responder_id");

/** Asks the hub who this is. */
export async function findOut(): Promise<void> {
  try {
    config.value = await hub.findConfig();
  } catch {
    config.value = {};
  }
  if (config.value.open_portal === true) {
    const handle = wantedResponder() ?? "default";
    person.value = { id: "", handle, display_name: handle, role: "responder" };
    access.value = "in";
    return;
  }
  try {
    if (!enter(await hub.findSession())) access.value = "none";
  } catch (error) {
    access.value = asFailure(error).isPassing ? "unreachable" : "none";
  }
}

/** Takes a session if it is a person's. */
function enter({ role, person: found, org_id }: hub.SessionAnswer): boolean {
  if (role !== "person" || found === undefined) return false;
  person.value = found;
  org.value = org_id ?? null;
  access.value = "in";
  return true;
}

/** Reads the session that a login has just opened; false when the browser did not keep its cookie. */
export async function enterNow(): Promise<boolean> {
  return hub.findSession().then(enter, (error: unknown) => {
    if (asFailure(error).status === 401) return false;
    throw error;
  });
}

/** Another session is on its way. */
let isRenewing = false;

/** Does what ends this session and opens another, as a new password does. */
export async function renew(work: () => Promise<unknown>): Promise<void> {
  isRenewing = true;
  try {
    await work();
  } finally {
    isRenewing = false;
  }
}

/** Finds out whether the session is over. */
export async function isOver(): Promise<boolean> {
  if (isRenewing) return false;
  const isIn = await enterNow().catch(() => true);
  if (!isIn && access.peek() === "in") access.value = "ended";
  return !isIn;
}

/** Logs out here, whether or not the hub can be told. */
export async function leave(): Promise<void> {
  try {
    await hub.logOut();
  } catch (error) {
    if (asFailure(error).status !== 401) throw error;
  }
  person.value = null;
  cameByLink.value = false;
  access.value = "none";
}
