/**
 * Human coordination: a client for agents, the schemas of what it sends, and the types of what it gets.
 *
 * @packageDocumentation
 */

export { HCPClient, WaitTimeoutError } from "./client.js";
export type { HCPClientOptions, WaitOptions } from "./client.js";
export { ApiError, ConnectionError, isCode } from "../errors.js";
export type { CallOptions, RetryOptions } from "../transport.js";
export {
  ActorType,
  AttachmentSchema,
  ContextPackageSchema,
  CreateCRSchema,
  EscalationStepSchema,
  Fallback,
  Intent,
  MAX_TIMEOUT_SECONDS,
  QuorumSchema,
  ResponseOptionSchema,
  ResponseSchemaDefinitionSchema,
  RoutingHintsSchema,
  State,
  SubmitResponseSchema,
  TimeoutPolicySchema,
  Urgency,
} from "./schemas.js";
export type {
  Attachment,
  AuditEvent,
  AuditEventType,
  AuditFilters,
  ContextPackage,
  CoordinationRequest,
  CreateCRInput,
  EscalationStep,
  Outcome,
  PageEnd,
  PageOptions,
  Quorum,
  RequestFilters,
  ResponseOption,
  ResponseSchemaDefinition,
  RoutingHints,
  RoutingHintsInput,
  SubmitResponseInput,
  TimeoutPolicy,
} from "./types.js";
