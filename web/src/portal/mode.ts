/** How a request is answered: which controls its card has. */

import type { CoordinationRequest, ResponseOption } from "./types.ts";

/** What an approval may change: a text, or the fields of a form with what the agent proposes. */
export type Proposal = { kind: "text"; text: string } | { kind: "form"; schema: unknown; given: unknown };

export type Mode =
  | { kind: "approval"; proposal: Proposal | null }
  | { kind: "choice"; options: readonly ResponseOption[]; isMultiple: boolean; mayReject: boolean }
  | { kind: "structured"; schema: unknown; mayReject: boolean }
  | { kind: "acknowledge" }
  | { kind: "text" };

/** What was proposed: the metadata where a schema describes it, else the text. */
function proposalOf(request: CoordinationRequest): Proposal {
  const { summary, detail, metadata } = request.context_package;
  const schema = request.response_schema;
  if (schema?.type === "structured") return { kind: "form", schema: schema.json_schema, given: metadata };
  return { kind: "text", text: detail ?? summary };
}

/** How this request is answered. */
export function modeOf(request: CoordinationRequest): Mode {
  const schema = request.response_schema;
  const isApproval = request.intent === "APPROVAL";
  const mayEdit = request.allow_edit ?? schema?.allow_edit ?? false;
  if (isApproval && mayEdit) {
    // A quorum decides on the proposal as it is.
    return { kind: "approval", proposal: request.routing_hints.quorum === undefined ? proposalOf(request) : null };
  }
  const options = schema?.options ?? [];
  if (schema?.type === "choice" && options.length > 0) {
    return { kind: "choice", options, isMultiple: schema.multiple === true, mayReject: isApproval };
  }
  if (schema?.type === "structured") return { kind: "structured", schema: schema.json_schema, mayReject: isApproval };
  if (isApproval) return { kind: "approval", proposal: null };
  return request.intent === "NOTIFICATION" && schema === null ? { kind: "acknowledge" } : { kind: "text" };
}
