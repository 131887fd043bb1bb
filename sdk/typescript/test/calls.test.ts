import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { inspect } from "node:util";

import { ApiError, ConnectionError, HCPClient, isCode } from "../src/hcp/index.js";
import { FakeHub, ID, INPUT, KEY, answered, request } from "./fake-hub.js";

let hub: FakeHub;
beforeEach(async () => {
  hub = await FakeHub.start();
});
afterEach(() => hub.stop());

/** The error that a call rejects with. */
async function failure<E extends Error>(kind: new (...args: never[]) => E, call: Promise<unknown>): Promise<E> {
  const error = await call.then(
    (value) => assert.fail(`resolved with ${inspect(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof kind, inspect(error));
  return error;
}

test("submit sends the body as JSON with the key, under an idempotency key of its own", async () => {
  hub.next({ status: 201, body: request({ state: "SUBMITTED" }) });
  const made = await hub.client().submit(INPUT);
  assert.deepEqual([made.request_id, made.state], [ID, "SUBMITTED"]);
  const [asked] = hub.asked;
  assert.deepEqual([asked?.method, asked?.url], ["POST", "/v1/requests"]);
  assert.equal(asked?.headers.authorization, `Bearer ${KEY}`);
  assert.equal(asked?.headers["content-type"], "application/json");
  const { idempotency_key: key, ...rest } = asked?.body ?? {};
  assert.deepEqual(rest, INPUT);
  assert.match(String(key), /^[0-9a-f-]{36}$/);
});

for (const [what, fault] of [
  ["a broken connection", "cut"],
  ["502", { status: 502, text: "<h1>Bad gateway</h1>" }],
  ["503", { status: 503, body: { error: "busy", code: "UNAVAILABLE" } }],
  ["504", { status: 504, text: "" }],
  ["429", { status: 429, body: { error: "slow down", code: "RATE_LIMITED" } }],
] as const) {
  test(`a call is repeated after ${what}, under the same idempotency key`, async () => {
    hub.next(fault, fault, { status: 200, body: request() });
    assert.equal((await hub.client().submit(INPUT)).request_id, ID);
    const keys = hub.asked.map((asked) => asked.body?.["idempotency_key"]);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
  });
}

test("two calls have two idempotency keys, and a given one is kept", async () => {
  hub.always = () => ({ status: 201, body: request() });
  const client = hub.client();
  await client.submit(INPUT);
  await client.submit(INPUT);
  await client.submit({ ...INPUT, idempotency_key: "deploy-2.1.0" });
  const [one, two, three] = hub.asked.map((asked) => asked.body?.["idempotency_key"]);
  assert.notEqual(one, two);
  assert.equal(three, "deploy-2.1.0");
});

test("a call is sent four times at most", async () => {
  hub.always = () => ({ status: 503, body: { error: "busy", code: "UNAVAILABLE" } });
  const error = await failure(ApiError, hub.client().getRequest(ID));
  assert.deepEqual([error.status, error.code, error.attempts, hub.asked.length], [503, "UNAVAILABLE", 4, 4]);
  hub.always = () => "cut";
  const broken = await failure(ConnectionError, hub.client({ retry: { attempts: 2, minDelayMs: 1 } }).getRequest(ID));
  assert.deepEqual([broken.attempts, hub.asked.length], [2, 6]);
});

test("Retry-After is waited for, in seconds and as a date, and thrown where it is long", async () => {
  const client = hub.client();
  for (const header of ["1", new Date(Date.now() + 3_000).toUTCString()]) {
    hub.next({ status: 429, headers: { "retry-after": header } }, { body: answered() });
    const began = performance.now();
    await client.getRequest(ID);
    const took = performance.now() - began;
    // A date has whole seconds only.
    assert.ok(took >= 950 && took < 20_000, `${took} ms for ${header}`);
  }
  hub.next({ status: 429, headers: { "retry-after": "3600" }, body: { code: "RATE_LIMITED" } });
  const error = await failure(ApiError, client.getRequest(ID));
  assert.deepEqual([error.retryAfter, error.attempts, isCode(error, "RATE_LIMITED")], [3600, 1, true]);
});

test("refusals are not repeated, and tell status, code, body and the number in the log", async () => {
  const body = { error: "Validation error", code: "VALIDATION_ERROR", details: { formErrors: [], fieldErrors: {} } };
  for (const status of [400, 401, 403, 404, 409, 413, 500]) {
    hub.next({ status, headers: { "x-request-id": "r1" }, body });
    const error = await failure(ApiError, hub.client().submit(INPUT));
    assert.deepEqual([error.status, error.code, error.requestId, error.attempts], [status, body.code, "r1", 1]);
    assert.deepEqual(error.body, body);
    assert.equal(error.message, `HCP API error ${status}: ${JSON.stringify(body)}`);
  }
  assert.equal(hub.asked.length, 7);
});

test("an answer that does not come in time is a connection error", async () => {
  hub.always = () => "silence";
  const client = hub.client({ timeoutMs: 40, retry: { attempts: 2, minDelayMs: 1 } });
  const error = await failure(ConnectionError, client.getRequest(ID));
  assert.match(error.message, /no answer within 40 ms/);
  assert.equal(error.attempts, 2);
  await failure(ConnectionError, client.getRequest(ID, { timeoutMs: 20 }));
});

test("nobody listening is a connection error with the reason", async () => {
  const client = hub.client({ retry: { attempts: 1 } });
  const { url } = hub;
  await hub.stop();
  const error = await failure(ConnectionError, client.listRequests());
  assert.match(error.message, /ECONNREFUSED/);
  assert.ok(error.message.includes(`GET ${url}/v1/requests`), error.message);
  hub = await FakeHub.start();
});

test("a signal ends a call before it, during it and in its pauses", async () => {
  const why = new Error("enough");
  await assert.rejects(hub.client().getRequest(ID, { signal: AbortSignal.abort(why) }), why);
  assert.equal(hub.asked.length, 0);
  const during = new AbortController();
  hub.always = () => {
    during.abort(why);
    return "silence";
  };
  await assert.rejects(hub.client().getRequest(ID, { signal: during.signal }), why);
  const pausing = new AbortController();
  hub.always = () => {
    setTimeout(() => pausing.abort(why), 500);
    return { status: 503, headers: { "retry-after": "30" } };
  };
  await assert.rejects(hub.client().getRequest(ID, { signal: pausing.signal }), why);
  assert.equal(hub.asked.length, 2);
});

test("every method takes a signal", async () => {
  const client = hub.client();
  const options = { signal: AbortSignal.abort(new Error("enough")) };
  for (const call of [
    client.submit(INPUT, options),
    client.coordinate(INPUT, options),
    client.waitFor(ID, options),
    client.getRequest(ID, options),
    client.respond(ID, { response_data: {}, responded_by: "dora" }, options),
    client.cancelRequest(ID, options),
    client.listRequests({}, options),
    client.queryAudit({}, options),
  ]) {
    await assert.rejects(call, /enough/);
  }
  assert.equal(hub.asked.length, 0);
});

test("respond, list and audit ask what they are told to", async () => {
  const client = hub.client();
  hub.next({ body: { status: "responded", request_id: ID } });
  const answer = { response_data: { decision: "approved" }, responded_by: "dora" };
  assert.deepEqual(await client.respond(ID, answer), { status: "responded", request_id: ID });
  hub.next({ body: { requests: [request()], total: 1 } });
  const since = new Date(0);
  const filters = { state: "PENDING_RESPONSE", urgency: "HIGH", limit: 5, agent_id: undefined, since } as const;
  const listed = await client.listRequests(filters);
  assert.deepEqual([listed.requests.length, listed.total], [1, 1]);
  hub.next({ body: { events: [] } });
  assert.deepEqual(await client.queryAudit({ request_id: ID }), { events: [] });
  hub.next({ body: { requests: [] } });
  await client.listRequests();
  assert.deepEqual(
    hub.asked.map(({ method, url, text }) => [method, url, text]),
    [
      ["POST", `/v1/requests/${ID}/respond`, JSON.stringify(answer)],
      ["GET", "/v1/requests?state=PENDING_RESPONSE&urgency=HIGH&limit=5&since=1970-01-01T00%3A00%3A00.000Z", ""],
      ["GET", `/v1/audit?request_id=${ID}`, ""],
      ["GET", "/v1/requests", ""],
    ],
  );
});

// A JSON content type without a body is refused by some servers; the reference's client could never cancel.
test("cancel sends no body and no type of one", async () => {
  hub.next({ body: { status: "cancelled", request_id: ID } });
  assert.deepEqual(await hub.client().cancelRequest(ID), { status: "cancelled", request_id: ID });
  const [asked] = hub.asked;
  assert.deepEqual([asked?.method, asked?.url, asked?.text], ["DELETE", `/v1/requests/${ID}`, ""]);
  assert.equal(asked?.headers["content-type"], undefined);
});

test("a cancel whose answer was lost is a cancel; one that comes too late is not", async () => {
  const late = (state: string) => ({ status: 409, body: { error: `Cannot cancel CR in state ${state}` } });
  hub.next("cut", late("CANCELLED"));
  assert.deepEqual(await hub.client().cancelRequest(ID), { status: "cancelled", request_id: ID });
  hub.next(late("CANCELLED"));
  assert.equal((await failure(ApiError, hub.client().cancelRequest(ID))).status, 409);
  hub.next("cut", late("RESPONDED"));
  assert.equal((await failure(ApiError, hub.client().cancelRequest(ID))).attempts, 2);
});

test("ids stay one segment of the path, and an empty one is refused", async () => {
  hub.next({ body: request() });
  await hub.client().getRequest("../audit?x");
  assert.equal(hub.asked[0]?.url, "/v1/requests/..%2Faudit%3Fx");
  for (const call of [
    () => hub.client().getRequest(""),
    () => hub.client().respond("", { response_data: {}, responded_by: "dora" }),
    () => hub.client().cancelRequest(""),
  ]) {
    await assert.rejects(async () => call(), TypeError);
  }
  assert.equal(hub.asked.length, 1);
});

test("a redirect is refused: a POST would come back as something else", async () => {
  hub.next({ status: 301, headers: { location: "https://hub.example/v1/requests" }, text: "" });
  const error = await failure(ApiError, hub.client().submit(INPUT));
  assert.match(error.message, /https:\/\/hub\.example.*baseUrl/);
  assert.equal(hub.asked.length, 1);
});

test("a page instead of JSON is an error", async () => {
  hub.next({ text: "<html>log in</html>" });
  const error = await failure(ApiError, hub.client().getRequest(ID));
  assert.deepEqual([error.code, error.status, error.body], ["NOT_JSON", 200, "<html>log in</html>"]);
});

test("a base path and slashes at the end of the address are understood", async () => {
  hub.always = () => ({ body: { requests: [] } });
  for (const [base, path] of [["", ""], ["/", ""], ["//", ""], ["/connect", "/connect"], ["/connect/", "/connect"]]) {
    await hub.client({ baseUrl: `${hub.url}${base}` }).listRequests();
    assert.equal(hub.asked.at(-1)?.url, `${path}/v1/requests`);
  }
});

test("options that cannot work are refused at once, without the key in the words", () => {
  const make = (baseUrl: unknown, apiKey: unknown) => () =>
    new HCPClient({ baseUrl: baseUrl as string, apiKey: apiKey as string });
  for (const baseUrl of ["", "localhost:4800", "ftp://hub", "http://ada:secret@hub", "http://hub/?a=1", undefined]) {
    assert.throws(make(baseUrl, KEY), TypeError, String(baseUrl));
  }
  for (const apiKey of ["", " ", undefined, null, "hcp_\u{e9}", "hcp_1\nx: y"]) {
    assert.throws(make(hub.url, apiKey), (error) => error instanceof TypeError && !error.message.includes("hcp_"));
  }
});

test("the key stays out of what is printed, and a key of a file may end with a line break", async () => {
  const client = hub.client({ apiKey: `${KEY}\n` });
  hub.next({ status: 401, body: { error: "Invalid API key" } });
  const error = await failure(ApiError, client.listRequests());
  assert.equal(hub.asked[0]?.headers.authorization, `Bearer ${KEY}`);
  const printed = [inspect(client, { depth: 9, showHidden: true }), inspect(error, { depth: 9 })];
  for (const shown of [...printed, JSON.stringify(client)]) {
    assert.ok(!shown.includes(KEY), shown);
  }
});
