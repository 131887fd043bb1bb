/** What the hub answers about coordination requests, as far as the portal reads it. */

export interface Attachment {
  type: string;
  name: string;
  content: string;
}

export interface ContextPackage {
  summary: string;
  detail?: string;
  metadata?: Readonly<Record<string, unknown>>;
  attachments?: readonly Attachment[];
}

export interface ResponseOption {
  key: string;
  label: string;
  description?: string;
}

export interface ResponseSchema {
  type: "choice" | "text" | "structured";
  options?: readonly ResponseOption[];
  multiple?: boolean;
  json_schema?: unknown;
  allow_edit?: boolean;
}

export interface CoordinationRequest {
  request_id: string;
  agent_id: string;
  intent: string;
  urgency: string;
  state: string;
  context_package: ContextPackage;
  response_schema: ResponseSchema | null;
  timeout_policy: { timeout_seconds: number; fallback: string; escalation_responder_id?: string; escalation?: readonly { after_seconds: number; responder_id: string }[] };
  routing_hints: { responder_id: string; quorum?: { of: readonly string[]; need: number } };
  responder_id: string;
  response_data: Readonly<Record<string, unknown>> | null;
  responded_by: string | null;
  responded_at: string | null;
  submitted_at: string;
  updated_at: string;
  timeout_at: string;
  trace_id: string | null;
  thread_id?: string | null;
  votes?: readonly { responder_id: string }[];
  delegated_to?: string | null;
  delegated_until?: string | null;
  allow_edit?: boolean;
}

export interface Listed {
  requests: readonly CoordinationRequest[];
  total?: number;
  next_cursor?: string | null;
}

export interface AuditEvent {
  event_id: string;
  event_type: string;
  actor: string;
  payload: Readonly<Record<string, unknown>>;
  created_at: string;
}

/** What `state_change` tells. */
export interface StateChange {
  request_id: string;
  state: string;
  agent_id?: string;
  responder_id?: string;
}

/** Whoever is logged in. */
export interface Person {
  id: string;
  handle: string;
  display_name: string;
  role: string;
  has_password?: boolean;
}
