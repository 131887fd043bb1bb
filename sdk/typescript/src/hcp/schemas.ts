/**
 * The bodies that clients send, as zod schemas. The hub checks the same and more; these serve programs that check
 * before they send, and tools that need a schema. Fields that a newer hub knows pass through.
 */

import { z } from "zod";

export const Intent = z.enum([
  "APPROVAL",
  "CLARIFICATION",
  "ESCALATION",
  "NOTIFICATION",
  "DECISION",
  "REVIEW",
  "INPUT",
]);
/** What a request is for. */
export type Intent = z.infer<typeof Intent>;

export const Urgency = z.enum(["CRITICAL", "HIGH", "MEDIUM", "LOW"]);
/** How urgent it is. */
export type Urgency = z.infer<typeof Urgency>;

export const State = z.enum([
  "SUBMITTED",
  "ROUTING",
  "PENDING_RESPONSE",
  "RESPONDED",
  "DELIVERED",
  "ESCALATED",
  "TIMED_OUT",
  "CANCELLED",
]);
/** Where it stands. */
export type State = z.infer<typeof State>;

export const Fallback = z.enum(["AUTO_APPROVE", "AUTO_REJECT", "ESCALATE", "BLOCK", "FAIL", "SKIP"]);
/** What happens when nobody answers in time. */
export type Fallback = z.infer<typeof Fallback>;

export const ActorType = z.enum(["AGENT", "HUMAN", "SYSTEM"]);
/** What kind of actor an audit event names. */
export type ActorType = z.infer<typeof ActorType>;

/** The longest time to wait for an answer: a year. */
export const MAX_TIMEOUT_SECONDS = 31_536_000;

const name = z.string().min(1);
const jsonObject = z.record(z.string(), z.unknown());

export const AttachmentSchema = z.looseObject({ type: z.string(), name: z.string(), content: z.string() });

export const ContextPackageSchema = z.looseObject({
  summary: z.string().min(1).describe("What the human is asked, in a sentence"),
  detail: z.string().optional().describe("What the human has to know to decide"),
  metadata: jsonObject.optional().describe("Names and values shown as a table"),
  attachments: z.array(AttachmentSchema).optional(),
});

export const ResponseOptionSchema = z.looseObject({
  key: z.string(),
  label: z.string(),
  description: z.string().optional(),
});

export const ResponseSchemaDefinitionSchema = z.looseObject({
  type: z.enum(["choice", "text", "structured"]).describe("The form of the answer"),
  options: z.array(ResponseOptionSchema).optional().describe("What to choose from, with type choice"),
  multiple: z.boolean().optional().describe("Whether several options may be chosen"),
  json_schema: jsonObject.optional().describe("The JSON Schema of the answer, with type structured"),
  allow_edit: z.boolean().optional().describe("Whether the human may approve an edited proposal"),
});

export const EscalationStepSchema = z.looseObject({
  after_seconds: z.number().int().positive().max(MAX_TIMEOUT_SECONDS),
  responder_id: name,
});

export const TimeoutPolicySchema = z
  .looseObject({
    timeout_seconds: z.number().int().positive().max(MAX_TIMEOUT_SECONDS).describe("How long to wait for an answer"),
    fallback: Fallback.describe("What happens when nobody answers in time"),
    escalation_responder_id: name.optional().describe("Who is asked next; needed with the fallback ESCALATE"),
    escalation: z.array(EscalationStepSchema).optional().describe("Who else is asked, and when"),
  })
  .superRefine((policy, context) => {
    const hasTarget = policy.escalation_responder_id !== undefined || (policy.escalation?.length ?? 0) > 0;
    if (policy.fallback === "ESCALATE" && !hasTarget) {
      context.addIssue({
        code: "custom",
        path: ["escalation_responder_id"],
        message: "Required with the fallback ESCALATE",
      });
    }
  });

export const QuorumSchema = z.looseObject({ of: z.array(name).min(1), need: z.number().int().positive() });

export const RoutingHintsSchema = z
  .looseObject({
    responder_id: name.describe("Who should answer"),
    channel: z.enum(["portal", "slack"]).default("portal").describe("How that person is told"),
    slack_channel_id: name.optional().describe("Where to post; needed with the channel slack"),
    quorum: QuorumSchema.optional().describe("How many of whom have to approve"),
  })
  .superRefine((hints, context) => {
    if (hints.channel === "slack" && hints.slack_channel_id === undefined) {
      context.addIssue({ code: "custom", path: ["slack_channel_id"], message: "Required with the channel slack" });
    }
  });

export const CreateCRSchema = z.looseObject({
  intent: Intent.describe("What kind of help is needed"),
  urgency: Urgency.describe("How urgent it is"),
  context_package: ContextPackageSchema,
  response_schema: ResponseSchemaDefinitionSchema.optional(),
  timeout_policy: TimeoutPolicySchema,
  routing_hints: RoutingHintsSchema,
  thread_id: z.string().optional().describe("The thread that waits for the answer"),
  trace_id: z.string().optional(),
  idempotency_key: z.string().min(1).optional(),
});

export const SubmitResponseSchema = z.looseObject({ response_data: jsonObject, responded_by: name });
