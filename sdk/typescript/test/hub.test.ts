/**
 * The client against a hub that runs: HXA_URL is its address, HXA_KEY a key that may answer its own requests
 * (`hxa-connect setup-key … --allow-respond`). Without them nothing is tested here.
 */

import assert from "node:assert/strict";
import { test as define } from "node:test";

import { ApiError, HCPClient } from "../src/hcp/index.js";
import type { CoordinationRequest, CreateCRInput, TimeoutPolicy } from "../src/hcp/index.js";

const { HXA_URL: url = "", HXA_KEY: key = "" } = process.env;
const skip = url === "" || key === "" ? "HXA_URL and HXA_KEY are not set" : false;
const run = Date.now().toString(36);

function test(name: string, body: (hub: HCPClient) => Promise<void>): void {
  define(name, { skip, timeout: 60_000 }, () => body(new HCPClient({ baseUrl: url, apiKey: key })));
}

/** A request to a responder of this run only. */
function ask(policy: Partial<TimeoutPolicy> = {}, changes: Partial<CreateCRInput> = {}): CreateCRInput {
  return {
    intent: "APPROVAL",
    urgency: "HIGH",
    context_package: { summary: "Deploy v2.1.0 to production", detail: "Includes new auth flow and 3 bug fixes." },
    timeout_policy: { timeout_seconds: 600, fallback: "BLOCK", ...policy },
    routing_hints: { responder_id: `dora-${run}` },
    ...changes,
  };
}

const approval = { response_data: { decision: "approved", comment: "LGTM" }, responded_by: `dora-${run}` };
const isRefused = (status: number) => (error: unknown) => error instanceof ApiError && error.status === status;

/** What becomes of a request, without reading it as its agent. */
async function stateOf(hub: HCPClient, made: CoordinationRequest): Promise<string | undefined> {
  const { requests } = await hub.listRequests({ responder_id: made.responder_id, limit: 100 });
  return requests.find((one) => one.request_id === made.request_id)?.state;
}

test("the reference's walk: submit, list, respond, read, audit", async (hub) => {
  const made = await hub.submit(ask());
  assert.match(made.request_id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.deepEqual([made.state, made.routing_hints.channel, made.response_data], ["SUBMITTED", "portal", null]);
  assert.equal(await stateOf(hub, made), "PENDING_RESPONSE");
  assert.deepEqual(await hub.respond(made.request_id, approval), { status: "responded", request_id: made.request_id });
  assert.equal(await stateOf(hub, made), "RESPONDED");
  const read = await hub.getRequest(made.request_id);
  assert.deepEqual([read.state, read.response_data, read.responded_by], ["DELIVERED", ...Object.values(approval)]);
  const { events } = await hub.queryAudit({ request_id: made.request_id });
  assert.deepEqual(
    events.map((event) => event.event_type),
    ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE", "CR_RESPONDED", "CR_DELIVERED"],
  );
  await assert.rejects(hub.respond(made.request_id, approval), isRefused(409));
});

test("coordinate has the answer as soon as it is given", async (hub) => {
  const key = `held-${run}`;
  // Whoever polled would be late by a minute.
  const wait = hub.coordinate(ask({}, { idempotency_key: key }), { pollIntervalMs: 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const made = await hub.submit(ask({}, { idempotency_key: key }));
  const began = performance.now();
  await hub.respond(made.request_id, approval);
  const result = await wait;
  assert.deepEqual([result.request_id, result.state], [made.request_id, "DELIVERED"]);
  assert.deepEqual(result.response_data, approval.response_data);
  assert.ok(performance.now() - began < 5_000);
});

for (const [fallback, state, data] of [
  ["BLOCK", "TIMED_OUT", null],
  ["FAIL", "TIMED_OUT", null],
  ["SKIP", "TIMED_OUT", null],
  ["AUTO_APPROVE", "DELIVERED", { decision: "approved", auto: true }],
  ["AUTO_REJECT", "DELIVERED", { decision: "rejected", auto: true }],
] as const) {
  test(`coordinate returns the fallback ${fallback}`, async (hub) => {
    const result = await hub.coordinate(ask({ timeout_seconds: 1, fallback }));
    assert.deepEqual([result.state, result.response_data], [state, data]);
  });
}

test("coordinate waits for an escalation and for its end", async (hub) => {
  const policy = { timeout_seconds: 1, fallback: "ESCALATE", escalation_responder_id: `emil-${run}` } as const;
  const result = await hub.coordinate(ask(policy));
  assert.deepEqual([result.state, result.responder_id], ["TIMED_OUT", `emil-${run}`]);
});

test("cancel works, also as the reference's client sends it", async (hub) => {
  const made = await hub.submit(ask());
  assert.deepEqual(await hub.cancelRequest(made.request_id), { status: "cancelled", request_id: made.request_id });
  await assert.rejects(hub.cancelRequest(made.request_id), isRefused(409));
  const other = await hub.submit(ask());
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(`${url}/v1/requests/${other.request_id}`, { method: "DELETE", headers });
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "cancelled", request_id: other.request_id });
});

test("a wait that is given up cancels its request if that is wished", async (hub) => {
  const input = ask({}, { idempotency_key: `given-up-${run}` });
  const stop = AbortSignal.timeout(500);
  await assert.rejects(hub.coordinate(input, { signal: stop, cancelOnGiveUp: true }), { name: "TimeoutError" });
  assert.equal((await hub.submit(input)).state, "CANCELLED");
});

test("one idempotency key is one request", async (hub) => {
  const input = ask({}, { idempotency_key: `once-${run}` });
  const both = await Promise.all([hub.submit(input), hub.submit(input)]);
  assert.equal(both[0].request_id, both[1].request_id);
  await assert.rejects(hub.submit({ ...input, urgency: "LOW" }), isRefused(409));
});

test("faults of a request are told", async (hub) => {
  const policy = { fallback: "ESCALATE" } as const;
  await assert.rejects(hub.submit(ask(policy)), (error) => {
    assert.ok(error instanceof ApiError);
    const body = error.body as { error: string; details: { fieldErrors: Record<string, string[]> } };
    assert.deepEqual([error.status, body.error], [400, "Validation error"]);
    return body.details.fieldErrors["timeout_policy"]?.length === 1;
  });
});

test("an answer out of form is refused, and the request stays open", async (hub) => {
  const options = [{ key: "pg", label: "PostgreSQL" }, { key: "my", label: "MySQL" }];
  const made = await hub.submit(ask({}, { intent: "DECISION", response_schema: { type: "choice", options } }));
  const answer = (choice: string) => ({ response_data: { choice }, responded_by: `dora-${run}` });
  await assert.rejects(hub.respond(made.request_id, answer("oracle")), isRefused(400));
  assert.equal(await stateOf(hub, made), "PENDING_RESPONSE");
  await hub.cancelRequest(made.request_id);
});

test("strangers and wrong ids are refused", async (hub) => {
  const stranger = new HCPClient({ baseUrl: url, apiKey: `hcp_${"0".repeat(64)}` });
  await assert.rejects(stranger.listRequests(), isRefused(401));
  await assert.rejects(hub.getRequest("01ARZ3NDEKTSV4RRFFQ69G5FAV"), isRefused(404));
});
