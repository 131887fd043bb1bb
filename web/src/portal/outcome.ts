/** What became of a request, for those who can no longer answer it and for the history. */

import type { CoordinationRequest } from "./types.ts";

/** How it ended; `moved` is a request that somebody else answers now. */
export type Outcome =
  | { kind: "open" }
  | { kind: "answered"; who: string; isAutomatic: boolean }
  | { kind: "cancelled" }
  | { kind: "timed_out" }
  | { kind: "moved"; who: string | null };

/** What is known of a request that left the queue. */
export function outcomeOf(request: CoordinationRequest): Outcome {
  switch (request.state) {
    case "RESPONDED":
    case "DELIVERED": {
      const who = request.responded_by ?? "";
      return { kind: "answered", who, isAutomatic: who.startsWith("system:") };
    }
    case "CANCELLED":
      return { kind: "cancelled" };
    case "TIMED_OUT":
      return { kind: "timed_out" };
    default:
      return { kind: "open" };
  }
}

/** The words for an answer: a decision, the chosen options, or the beginning of a text. */
export type Said = { kind: "approved" | "rejected" | "acknowledged" } | { kind: "text"; text: string } | { kind: "none" };

/** What an answer says, in short. */
export function saidIn(request: CoordinationRequest): Said {
  const data = request.response_data;
  if (data === null) return { kind: "none" };
  const decision = data["decision"];
  if (decision === "approved" || decision === "rejected") return { kind: decision };
  const chosen = data["choice"] ?? data["choices"] ?? data["selected"];
  if (chosen !== undefined) {
    const keys: unknown[] = Array.isArray(chosen) ? chosen : [chosen];
    const options = request.response_schema?.options ?? [];
    const labels = keys.map((key) => options.find((option) => option.key === key)?.label ?? String(key));
    return { kind: "text", text: labels.join(", ") };
  }
  if (typeof data["text"] === "string" && data["text"] !== "") return { kind: "text", text: data["text"] };
  if (data["acknowledged"] === true) return { kind: "acknowledged" };
  return { kind: "text", text: JSON.stringify(data) };
}

/** The comment of an answer. */
export function commentIn(request: CoordinationRequest): string | null {
  const comment = request.response_data?.["comment"];
  return typeof comment === "string" && comment !== "" ? comment : null;
}
