/** Which request comes first: the most urgent one, then the one whose time runs out first. */

import type { CoordinationRequest } from "./types.ts";

export const URGENCIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"] as const;

/** The place of an urgency; one that this page does not know comes last. */
export function rank(urgency: string): number {
  const place = URGENCIES.findIndex((known) => known === urgency);
  return place < 0 ? URGENCIES.length : place;
}

/** A deadline in milliseconds. */
export function deadline(request: Pick<CoordinationRequest, "timeout_at">): number {
  const time = Date.parse(request.timeout_at);
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
}

/** Compares two requests, for `sort`. */
export function compare(a: CoordinationRequest, b: CoordinationRequest): number {
  return rank(a.urgency) - rank(b.urgency) || deadline(a) - deadline(b) || (a.request_id < b.request_id ? -1 : 1);
}

/** What a search looks into. */
export function matches(request: CoordinationRequest, words: string): boolean {
  const { summary, detail } = request.context_package;
  const within = [summary, detail ?? "", request.agent_id, request.request_id, request.intent, request.responder_id, request.responded_by ?? "", request.trace_id ?? ""];
  const all = within.join("\n").toLocaleLowerCase();
  return words.toLocaleLowerCase().split(/\s+/).every((word) => all.includes(word));
}
