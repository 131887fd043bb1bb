import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";

import { CreateCRSchema, Fallback, Intent, State, SubmitResponseSchema, Urgency } from "../src/hcp/index.js";
import type { CreateCRInput, SubmitResponseInput } from "../src/hcp/index.js";
import { INPUT } from "./fake-hub.js";

/** The paths that a body is refused for. */
function faults(body: unknown): string[] {
  const read = CreateCRSchema.safeParse(body);
  return read.success ? [] : read.error.issues.map((issue) => issue.path.join("."));
}

test("the reference's examples are read, and the channel is the portal", () => {
  assert.deepEqual(CreateCRSchema.parse(INPUT), INPUT);
  const { channel: _, ...hints } = INPUT.routing_hints;
  assert.equal(CreateCRSchema.parse({ ...INPUT, routing_hints: hints }).routing_hints.channel, "portal");
  const answer = { response_data: { decision: "approved", comment: "LGTM" }, responded_by: "dora" };
  assert.deepEqual(SubmitResponseSchema.parse(answer), answer);
});

test("words are those of the reference", () => {
  assert.equal(Intent.options.join(" "), "APPROVAL CLARIFICATION ESCALATION NOTIFICATION DECISION REVIEW INPUT");
  assert.equal(Urgency.enum.CRITICAL, "CRITICAL");
  assert.equal(State.options.length, 8);
  assert.equal(Fallback.safeParse("RETRY").success, false);
});

test("faults are told with their paths", () => {
  const policy = INPUT.timeout_policy;
  const hints = INPUT.routing_hints;
  const summary = { summary: "s" };
  const file = { name: "n", content: "c" };
  for (const [change, path] of [
    [{ intent: "approval" }, "intent"],
    [{ urgency: undefined }, "urgency"],
    [{ context_package: { summary: "" } }, "context_package.summary"],
    [{ context_package: { ...summary, attachments: [file] } }, "context_package.attachments.0.type"],
    [{ context_package: { ...summary, metadata: [] } }, "context_package.metadata"],
    [{ timeout_policy: { ...policy, timeout_seconds: 0 } }, "timeout_policy.timeout_seconds"],
    [{ timeout_policy: { ...policy, timeout_seconds: 1.5 } }, "timeout_policy.timeout_seconds"],
    [{ timeout_policy: { ...policy, timeout_seconds: 31_536_001 } }, "timeout_policy.timeout_seconds"],
    [{ timeout_policy: { ...policy, fallback: "ESCALATE" } }, "timeout_policy.escalation_responder_id"],
    [{ routing_hints: { ...hints, responder_id: "" } }, "routing_hints.responder_id"],
    [{ routing_hints: { ...hints, channel: "slack" } }, "routing_hints.slack_channel_id"],
    [{ response_schema: { type: "number" } }, "response_schema.type"],
    [{ trace_id: null }, "trace_id"],
  ] as const) {
    assert.deepEqual(faults({ ...INPUT, ...change }), [path]);
  }
  assert.deepEqual(faults([]), [""]);
  assert.equal(SubmitResponseSchema.safeParse({ response_data: [], responded_by: "dora" }).success, false);
  assert.equal(SubmitResponseSchema.safeParse({ response_data: {}, responded_by: "" }).success, false);
});

test("what a condition asks for makes it good", () => {
  const policy = { ...INPUT.timeout_policy, fallback: "ESCALATE" };
  assert.deepEqual(faults({ ...INPUT, timeout_policy: { ...policy, escalation_responder_id: "emil" } }), []);
  const escalation = [{ after_seconds: 60, responder_id: "emil" }];
  assert.deepEqual(faults({ ...INPUT, timeout_policy: { ...policy, escalation } }), []);
  const hints = { ...INPUT.routing_hints, channel: "slack", slack_channel_id: "C0123456789" };
  assert.deepEqual(faults({ ...INPUT, routing_hints: hints }), []);
});

test("fields of a newer hub pass through", () => {
  const body = { ...INPUT, tags: ["t"], timeout_policy: { ...INPUT.timeout_policy, remind_after_seconds: 60 } };
  assert.deepEqual(CreateCRSchema.parse(body), body);
});

test("a tool can be described by the schema's shape", () => {
  const tool = z.toJSONSchema(z.object(CreateCRSchema.shape), { io: "input" });
  assert.deepEqual(tool.required, ["intent", "urgency", "context_package", "timeout_policy", "routing_hints"]);
});

/** An interface as a type of its fields, which may then have further ones. */
type Fields<T> = T extends object ? { [Name in keyof T]: Fields<T[Name]> } : T;

// What schemas read is what methods take, and what they take is what schemas read: checked when this compiles.
({}) as z.output<typeof CreateCRSchema> satisfies CreateCRInput;
({}) as Fields<CreateCRInput> satisfies z.input<typeof CreateCRSchema>;
({}) as z.output<typeof SubmitResponseSchema> satisfies SubmitResponseInput;
({}) as Fields<SubmitResponseInput> satisfies z.input<typeof SubmitResponseSchema>;
