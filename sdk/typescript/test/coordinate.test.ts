import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { ApiError, WaitTimeoutError } from "../src/hcp/index.js";
import type { CoordinationRequest } from "../src/hcp/index.js";
import { FakeHub, ID, INPUT, answered, request } from "./fake-hub.js";
import type { Reply } from "./fake-hub.js";

let hub: FakeHub;
beforeEach(async () => {
  hub = await FakeHub.start();
});
afterEach(() => hub.stop());

/** A hub that makes a request and then answers each look at it with the next of `looks`, the last one for ever. */
function scripted(first: CoordinationRequest, looks: Reply[]): void {
  const left = [...looks];
  hub.always = ({ method }) => {
    if (method === "POST") return { status: 201, body: first };
    if (method === "DELETE") return { body: { status: "cancelled", request_id: ID } };
    return (left.length > 1 ? left.shift() : left[0]) ?? "silence";
  };
}

const submitted = (seconds = 600) => request({ state: "SUBMITTED" }, seconds);
const pending = (seconds = 600): Reply => ({ body: request({}, seconds) });
const methods = () => hub.asked.map((asked) => asked.method);

test("an answer comes back from a poll that the hub holds", async () => {
  scripted(submitted(), [{ body: answered(), afterMs: 2_500 }]);
  const result = await hub.client({ timeoutMs: 2_000 }).coordinate(INPUT);
  assert.deepEqual([result.state, result.response_data], ["DELIVERED", { decision: "approved" }]);
  assert.deepEqual(hub.asked.map(({ url }) => url), ["/v1/requests", `/v1/requests/${ID}?wait=25`]);
});

test("a server that holds nothing is asked every pollIntervalMs", async () => {
  scripted(submitted(), [pending(), pending(), pending(), { body: answered() }]);
  const began = performance.now();
  await hub.client().coordinate(INPUT, { pollIntervalMs: 80 });
  const took = performance.now() - began;
  assert.equal(hub.asked.length, 5);
  assert.ok(took >= 150 && took < 10_000, `${took} ms`);
});

test("what happens when time runs out is a result", async () => {
  for (const state of ["TIMED_OUT", "CANCELLED"] as const) {
    scripted(submitted(), [pending(), { body: request({ state }) }]);
    assert.equal((await hub.client().coordinate(INPUT, { pollIntervalMs: 1 })).state, state);
  }
});

test("a request made before under the same key is not waited for again", async () => {
  hub.always = () => ({ body: answered() });
  const result = await hub.client().coordinate({ ...INPUT, idempotency_key: "deploy-2.1.0" });
  assert.deepEqual([result.responded_by, hub.asked.length], ["dora", 1]);
});

test("a hub that is away for a while is waited for", async () => {
  const away: Reply[] = Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? "cut" : { status: 503, text: "" }));
  scripted(submitted(), [...away, { body: answered() }]);
  assert.equal((await hub.client().coordinate(INPUT)).state, "DELIVERED");
  assert.equal(hub.asked.length, 14);
});

test("a wait outlasts a Retry-After that a single call would not", async () => {
  scripted(submitted(), [{ status: 429, headers: { "retry-after": "1" } }, { body: answered() }]);
  const client = hub.client({ retry: { attempts: 1, maxRetryAfterMs: 10 } });
  assert.equal((await client.coordinate(INPUT)).state, "DELIVERED");
});

test("a refusal ends the wait", async () => {
  scripted(submitted(), [{ status: 404, body: { error: "Not found", code: "NOT_FOUND" } }]);
  await assert.rejects(hub.client().coordinate(INPUT), (error) => error instanceof ApiError && error.status === 404);
  assert.deepEqual(methods(), ["POST", "GET"]);
});

test("maxWaitMs ends the wait with the request as it is, which goes on", async () => {
  scripted(submitted(), [pending()]);
  const began = performance.now();
  const call = hub.client().coordinate(INPUT, { maxWaitMs: 200, pollIntervalMs: 50 });
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof WaitTimeoutError);
    assert.deepEqual([error.request.state, error.isCancelled], ["PENDING_RESPONSE", false]);
    return /did not reach terminal state within \d+ms/.test(error.message);
  });
  const took = performance.now() - began;
  assert.ok(took >= 195 && took < 10_000, `${took} ms`);
  assert.ok(!methods().includes("DELETE"));
});

test("cancelOnGiveUp cancels the request that is given up", async () => {
  scripted(submitted(), [pending()]);
  const call = hub.client().coordinate(INPUT, { maxWaitMs: 60, pollIntervalMs: 20, cancelOnGiveUp: true });
  await assert.rejects(call, (error) => error instanceof WaitTimeoutError && error.isCancelled);
  assert.equal(methods().at(-1), "DELETE");
});

test("an answer of the last moment is a result", async () => {
  scripted(submitted(), [pending()]);
  const before = hub.always;
  let isAnswered = false;
  hub.always = (asked) => {
    if (asked.method === "DELETE") {
      isAnswered = true;
      return { status: 409, body: { error: "Cannot cancel CR in state RESPONDED" } };
    }
    return isAnswered ? { body: answered() } : before(asked);
  };
  const result = await hub.client().coordinate(INPUT, { maxWaitMs: 50, pollIntervalMs: 10, cancelOnGiveUp: true });
  assert.equal(result.state, "DELIVERED");
});

test("a signal ends the wait, and cancels if that is wished", async () => {
  const why = new Error("enough");
  for (const cancelOnGiveUp of [false, true]) {
    const stop = new AbortController();
    scripted(submitted(), ["silence"]);
    const before = hub.always;
    hub.always = (asked) => {
      if (asked.method === "GET") stop.abort(why);
      return before(asked);
    };
    await assert.rejects(hub.client().coordinate(INPUT, { signal: stop.signal, cancelOnGiveUp }), why);
    assert.deepEqual(methods(), cancelOnGiveUp ? ["POST", "GET", "DELETE"] : ["POST", "GET"]);
    hub.asked.length = 0;
  }
});

// The reference waited five seconds more than the first deadline, whatever became of it.
test("an escalation moves the deadline of the wait", async () => {
  const escalated = request({ responder_id: "emil", updated_at: "2026-12-01T10:00:02.000Z" });
  // The deadline and the five seconds: half a second at first, ten minutes then.
  scripted(submitted(-4.5), [
    ...Array.from({ length: 4 }, () => pending(-4.5)),
    ...Array.from({ length: 4 }, () => ({ body: escalated })),
    { body: { ...escalated, state: "TIMED_OUT" } },
  ]);
  const began = performance.now();
  const result = await hub.client().coordinate(INPUT, { pollIntervalMs: 150 });
  assert.deepEqual([result.state, result.responder_id], ["TIMED_OUT", "emil"]);
  const took = performance.now() - began;
  assert.ok(took > 600, `${took} ms: it waited past the first deadline`);
});

test("a request that never ends is given up five seconds after its deadline", async () => {
  scripted(submitted(-4.8), [pending(-4.8)]);
  const began = performance.now();
  await assert.rejects(hub.client().coordinate(INPUT, { pollIntervalMs: 50 }), WaitTimeoutError);
  const took = performance.now() - began;
  assert.ok(took >= 195 && took < 10_000, `${took} ms`);
});

test("waitFor goes on with a request that was made before, without a limit", async () => {
  scripted(submitted(), [pending(-100), pending(-100), { body: answered() }]);
  assert.equal((await hub.client().waitFor(ID, { pollIntervalMs: 10 })).state, "DELIVERED");
  assert.deepEqual(methods(), ["GET", "GET", "GET"]);
  await assert.rejects(hub.client().waitFor(""), TypeError);
});
