/** What the hub takes and gives. Written out, so that editors show the fields and misspelt ones are errors. */

import type { ActorType, Fallback, Intent, State, Urgency } from "./schemas.js";

/** A file shown with a request. */
export interface Attachment {
  type: string;
  name: string;
  content: string;
}

/** What the human reads. */
export interface ContextPackage {
  /** At least one character. */
  summary: string;
  detail?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  attachments?: Attachment[] | undefined;
}

/** One thing to choose. */
export interface ResponseOption {
  key: string;
  label: string;
  description?: string | undefined;
}

/** The form that an answer must have; the hub refuses others. */
export interface ResponseSchemaDefinition {
  type: "choice" | "text" | "structured";
  options?: ResponseOption[] | undefined;
  /** With `choice`: several options may be chosen. */
  multiple?: boolean | undefined;
  /** With `structured`. */
  json_schema?: Record<string, unknown> | undefined;
  /** The human may approve an edited proposal. */
  allow_edit?: boolean | undefined;
}

/** A step of an escalation: when, and to whom. */
export interface EscalationStep {
  after_seconds: number;
  responder_id: string;
}

/** What happens when nobody answers. */
export interface TimeoutPolicy {
  /** 1 to 31,536,000. */
  timeout_seconds: number;
  fallback: Fallback;
  /** Needed with the fallback `ESCALATE`. */
  escalation_responder_id?: string | undefined;
  /** Further steps before the fallback. */
  escalation?: EscalationStep[] | undefined;
}

/** Several who decide together. */
export interface Quorum {
  of: string[];
  need: number;
}

/** Whom to ask, and how to tell them. */
export interface RoutingHints {
  responder_id: string;
  channel: "portal" | "slack";
  /** Needed with the channel `slack`. */
  slack_channel_id?: string | undefined;
  quorum?: Quorum | undefined;
}

/** The same as it is sent: the channel is `portal` unless it says something else. */
export type RoutingHintsInput = Omit<RoutingHints, "channel"> & Partial<Pick<RoutingHints, "channel">>;

/** A new request. */
export interface CreateCRInput {
  intent: Intent;
  urgency: Urgency;
  context_package: ContextPackage;
  response_schema?: ResponseSchemaDefinition | undefined;
  timeout_policy: TimeoutPolicy;
  routing_hints: RoutingHintsInput;
  /** A thread that the agent takes part in: it is blocked while the request waits, and gets the answer. */
  thread_id?: string | undefined;
  trace_id?: string | undefined;
  /** The same key again gives the same request; without one, the client makes one per call. */
  idempotency_key?: string | undefined;
}

/** An answer. */
export interface SubmitResponseInput {
  response_data: Record<string, unknown>;
  responded_by: string;
}

/** A request as the hub shows it. Times are ISO 8601 in UTC. */
export interface CoordinationRequest {
  request_id: string;
  /** Who asked: the agent of the key. */
  agent_id: string;
  intent: Intent;
  urgency: Urgency;
  state: State;
  context_package: ContextPackage;
  response_schema: ResponseSchemaDefinition | null;
  timeout_policy: TimeoutPolicy;
  routing_hints: RoutingHints;
  trace_id: string | null;
  idempotency_key: string | null;
  /** Who is asked now; escalations change it. */
  responder_id: string;
  response_data: Record<string, unknown> | null;
  responded_by: string | null;
  responded_at: string | null;
  submitted_at: string;
  updated_at: string;
  timeout_at: string;
  delivered_at: string | null;
  thread_id?: string | null;
}

/** The kinds of events that the audit has had from the beginning; newer hubs have more. */
export type AuditEventType =
  | "CR_SUBMITTED"
  | "CR_ROUTING"
  | "CR_PENDING_RESPONSE"
  | "CR_RESPONDED"
  | "CR_DELIVERED"
  | "CR_ESCALATED"
  | "CR_TIMED_OUT"
  | "CR_CANCELLED"
  | "SLACK_NOTIFIED"
  | "SLACK_INTERACTION"
  // Keeps the words above on offer in editors while any other is allowed.
  | (string & {});

/** One row of the audit. */
export interface AuditEvent {
  event_id: string;
  request_id: string;
  event_type: AuditEventType;
  actor: string;
  actor_type: ActorType;
  payload: Record<string, unknown>;
  created_at: string;
}

/** Paging of lists: a cursor where there is one, else an offset. */
export interface PageOptions {
  /** 1 to 1,000. */
  limit?: number | undefined;
  offset?: number | undefined;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
}

/** Which requests to list; all that is given must hold. */
export interface RequestFilters extends PageOptions {
  agent_id?: string | undefined;
  state?: State | undefined;
  intent?: Intent | undefined;
  urgency?: Urgency | undefined;
  responder_id?: string | undefined;
  trace_id?: string | undefined;
  /** Submitted from then on. */
  since?: Date | string | undefined;
  /** Submitted before then. */
  until?: Date | string | undefined;
}

/** Which audit events to list. */
export interface AuditFilters extends PageOptions {
  request_id?: string | undefined;
  event_type?: AuditEventType | undefined;
  since?: Date | string | undefined;
  until?: Date | string | undefined;
}

/** How much more there is. */
export interface PageEnd {
  total?: number;
  next_cursor?: string | null;
}

/** What became of a change. */
export interface Outcome {
  status: string;
  request_id: string;
}
