import assert from "node:assert/strict";
import test from "node:test";

import { failureOf } from "../../src/lib/failure.ts";
import { modeOf } from "../../src/portal/mode.ts";
import { compare, matches } from "../../src/portal/order.ts";
import { outcomeOf, saidIn } from "../../src/portal/outcome.ts";
import type { CoordinationRequest } from "../../src/portal/types.ts";

function request(fields: Partial<CoordinationRequest>): CoordinationRequest {
  return {
    request_id: "01A",
    agent_id: "ada",
    intent: "APPROVAL",
    urgency: "LOW",
    state: "PENDING_RESPONSE",
    context_package: { summary: "Deploy v2" },
    response_schema: null,
    timeout_policy: { timeout_seconds: 60, fallback: "BLOCK" },
    routing_hints: { responder_id: "dora" },
    responder_id: "dora",
    response_data: null,
    responded_by: null,
    responded_at: null,
    submitted_at: "2026-05-01T12:00:00.000Z",
    updated_at: "2026-05-01T12:00:00.000Z",
    timeout_at: "2026-05-01T13:00:00.000Z",
    trace_id: null,
    ...fields,
  };
}

test("urgency comes before the deadline", () => {
  const list = [
    request({ request_id: "a", urgency: "LOW", timeout_at: "2026-05-01T12:00:00.000Z" }),
    request({ request_id: "b", urgency: "UNHEARD_OF" }),
    request({ request_id: "c", urgency: "CRITICAL", timeout_at: "2026-05-01T15:00:00.000Z" }),
    request({ request_id: "d", urgency: "CRITICAL", timeout_at: "2026-05-01T14:00:00.000Z" }),
    request({ request_id: "e", urgency: "HIGH" }),
    request({ request_id: "f", urgency: "MEDIUM" }),
  ];
  assert.deepEqual(list.sort(compare).map((one) => one.request_id), ["d", "c", "e", "f", "a", "b"]);
});

test("every word of a search must be there", () => {
  assert.ok(matches(request({}), "deploy ADA"));
  assert.ok(!matches(request({}), "deploy bob"));
});

test("the form of the answer follows from intent and schema", () => {
  const kind = (fields: Partial<CoordinationRequest>): string => modeOf(request(fields)).kind;
  const options = [{ key: "a", label: "A" }];
  assert.equal(kind({}), "approval");
  assert.equal(kind({ intent: "DECISION", response_schema: { type: "choice", options } }), "choice");
  assert.equal(kind({ intent: "DECISION", response_schema: { type: "choice", options: [] } }), "text", "nothing to choose from");
  assert.equal(kind({ intent: "INPUT", response_schema: { type: "structured", json_schema: {} } }), "structured");
  assert.equal(kind({ intent: "NOTIFICATION" }), "acknowledge");
  assert.equal(kind({ intent: "REVIEW" }), "text");
});

test("a proposal is edited where the agent allows it", () => {
  const proposal = (fields: Partial<CoordinationRequest>): string | null => {
    const mode = modeOf(request(fields));
    return mode.kind !== "approval" || mode.proposal === null ? null : mode.proposal.kind === "text" ? mode.proposal.text : JSON.stringify(mode.proposal.given);
  };
  assert.equal(proposal({}), null);
  assert.equal(proposal({ allow_edit: true }), "Deploy v2");
  assert.equal(proposal({ allow_edit: true, context_package: { summary: "s", detail: "the text" } }), "the text");
  assert.equal(proposal({ allow_edit: true, routing_hints: { responder_id: "dora", quorum: { of: ["dora"], need: 1 } } }), null, "a quorum decides as it is");
  const described = { context_package: { summary: "s", metadata: { amount: 1 } }, response_schema: { type: "structured" as const, json_schema: {} } };
  assert.equal(proposal({ ...described, allow_edit: true }), '{"amount":1}');
  assert.deepEqual(modeOf(request(described)), { kind: "structured", schema: {}, mayReject: true });
});

test("what became of a request", () => {
  assert.deepEqual(outcomeOf(request({ state: "CANCELLED" })), { kind: "cancelled" });
  assert.deepEqual(outcomeOf(request({ state: "TIMED_OUT" })), { kind: "timed_out" });
  assert.deepEqual(outcomeOf(request({ state: "DELIVERED", responded_by: "emil" })), { kind: "answered", who: "emil", isAutomatic: false });
  assert.deepEqual(outcomeOf(request({ state: "RESPONDED", responded_by: "system:auto_reject" })), { kind: "answered", who: "system:auto_reject", isAutomatic: true });
  assert.deepEqual(outcomeOf(request({ state: "ROUTING" })), { kind: "open" });
});

test("what was said, in short", () => {
  const response_schema = { type: "choice" as const, options: [{ key: "pg", label: "PostgreSQL" }] };
  assert.deepEqual(saidIn(request({ response_data: { decision: "approved" } })), { kind: "approved" });
  assert.deepEqual(saidIn(request({ response_data: { choice: "pg" }, response_schema })), { kind: "text", text: "PostgreSQL" });
  assert.deepEqual(saidIn(request({ response_data: { choice: ["pg", "x"] }, response_schema })), { kind: "text", text: "PostgreSQL, x" });
  assert.deepEqual(saidIn(request({ response_data: { text: "yes" } })), { kind: "text", text: "yes" });
  assert.deepEqual(saidIn(request({ response_data: { acknowledged: true } })), { kind: "acknowledged" });
  assert.deepEqual(saidIn(request({ response_data: { a: 1 } })), { kind: "text", text: '{"a":1}' });
});

test("refusals of the hub keep what they say", () => {
  const failure = failureOf(400, { error: "Validation error", code: "VALIDATION_ERROR", faults: [{ path: "response_data.a", message: "Required" }, "junk", { message: 1 }] }, null);
  assert.deepEqual(failure.faults, [{ path: "response_data.a", message: "Required" }]);
  assert.equal(failureOf(429, {}, "7").retryAfter, 7);
  assert.equal(failureOf(502, null, null).message, "HTTP 502");
  assert.ok(failureOf(503, {}, null).isPassing && !failureOf(409, {}, null).isPassing);
});
