/**
 * A hub for the portal's browser tests: the few routes that the page uses, requests in memory, an event stream, and ways to
 * make it fail. The files come from `web/dist`, with the headers that the hub itself sends, read from its source.
 */

import { createHash, randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../..");
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain" };
const CLOSED = ["RESPONDED", "DELIVERED", "TIMED_OUT", "CANCELLED"];

/** The headers of a page, as `src/dashboard/headers.rs` has them. */
async function headersOfHub() {
  const source = await readFile(path.join(ROOT, "src/dashboard/headers.rs"), "utf8");
  const policy = /POLICY: &str = "([^"]*)"/.exec(source)?.[1];
  if (policy === undefined) throw new Error("no policy in src/dashboard/headers.rs");
  return { "content-security-policy": policy.replace(/\\\s*/g, ""), "referrer-policy": "no-referrer", "x-content-type-options": "nosniff" };
}

async function filesOfHub(folder) {
  const files = new Map();
  for (const name of await readdir(folder)) files.set(name, await readFile(path.join(folder, name)));
  return files;
}

/** Starts one; `base` is the path that it is served under. */
export async function startFakeHub({ base = "", folder = path.join(ROOT, "web/dist") } = {}) {
  const hub = new FakeHub(base, await filesOfHub(folder), await headersOfHub());
  await hub.listen();
  return hub;
}

class FakeHub {
  requests = new Map();
  audit = [];
  sessions = new Map();
  codes = new Map();
  people = new Map();
  streams = new Set();
  /** What was sent as an answer, in order. */
  answers = [];
  /** Reads of single requests. */
  reads = 0;
  /** Status that the next answers to `respond` have instead of being taken. */
  failures = [];
  isOpen = false;
  isStreamRefused = false;
  answerDelay = 0;
  counter = 0;

  constructor(base, files, headers) {
    Object.assign(this, { base, files, headers });
    this.server = createServer((request, response) => {
      this.handle(request, response).catch((error) => {
        console.error("the fake hub failed:", error);
        response.writeHead(500).end();
      });
    });
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.origin = `http://127.0.0.1:${this.port}`;
    this.url = this.origin + this.base;
  }

  async close() {
    for (const stream of this.streams) stream.response.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Goes away and comes back on the same port. */
  async away(work) {
    await this.close();
    try {
      return await work();
    } finally {
      await this.listen(this.port);
    }
  }

  person(handle, role = "responder", password = null) {
    const person = { id: randomUUID(), handle, display_name: handle[0].toUpperCase() + handle.slice(1), role };
    this.people.set(handle, { ...person, password });
    return person;
  }

  link(handle) {
    const code = randomUUID();
    this.codes.set(code, handle);
    return `${this.url}/portal/login?code=${code}`;
  }

  /** Adds a request; what is left out is ordinary. */
  add(fields = {}) {
    const id = `01J${String(this.counter++).padStart(23, "0")}`;
    const seconds = fields.seconds ?? 3600;
    const { summary = `Request ${this.counter}`, detail, metadata, attachments, ...rest } = fields;
    delete rest.seconds;
    const request = {
      request_id: id,
      agent_id: "ada",
      intent: "APPROVAL",
      urgency: "MEDIUM",
      state: "PENDING_RESPONSE",
      context_package: { summary, ...(detail && { detail }), ...(metadata && { metadata }), ...(attachments && { attachments }) },
      response_schema: null,
      timeout_policy: { timeout_seconds: seconds, fallback: "AUTO_REJECT" },
      routing_hints: { responder_id: rest.responder_id ?? "dora", channel: "portal" },
      responder_id: "dora",
      trace_id: null,
      idempotency_key: null,
      response_data: null,
      responded_by: null,
      responded_at: null,
      submitted_at: new Date().toISOString(),
      updated_at: new Date().toISOString(),
      timeout_at: new Date(Date.now() + seconds * 1000).toISOString(),
      delivered_at: null,
      ...rest,
    };
    this.requests.set(id, request);
    this.note(request, "CR_SUBMITTED", request.agent_id);
    this.note(request, "CR_PENDING_RESPONSE", "system", { responder_id: request.responder_id });
    this.tell(request);
    return request;
  }

  note(request, event_type, actor, payload = {}) {
    this.audit.push({ event_id: randomUUID(), request_id: request.request_id, event_type, actor, actor_type: "SYSTEM", payload, created_at: new Date().toISOString() });
  }

  change(id, fields, also = []) {
    const request = { ...this.requests.get(id), ...fields, updated_at: new Date().toISOString() };
    this.requests.set(id, request);
    this.tell(request, also);
    return request;
  }

  answeredBy(id, who, data) {
    return this.change(id, { state: "RESPONDED", response_data: data, responded_by: who, responded_at: new Date().toISOString() });
  }

  /** Escalates away: the loser hears it as well. */
  escalate(id, to) {
    const from = this.requests.get(id).responder_id;
    const request = this.change(id, { state: "ESCALATED", responder_id: to }, [from]);
    this.note(request, "CR_ESCALATED", "system", { escalation_responder_id: to });
    return this.change(id, { state: "PENDING_RESPONSE" });
  }

  /** Sends `state_change` to those who may see the request. */
  tell(request, also = []) {
    const { request_id, state, agent_id, responder_id } = request;
    const data = JSON.stringify({ request_id, state, agent_id, responder_id });
    for (const stream of this.streams) {
      if (this.sees(stream.person, request) || also.includes(stream.person.handle)) {
        stream.response.write(`id: ${++this.counter}\nevent: state_change\ndata: ${data}\n\n`);
      }
    }
  }

  sees(person, request) {
    return ["coordinator", "admin", "auditor"].includes(person.role) || person.handle === request.responder_id;
  }

  async handle(request, response) {
    const url = new URL(request.url, this.origin);
    if (!url.pathname.startsWith(this.base)) return this.refuse(response, 404, "NOT_FOUND", "Route not found");
    const place = url.pathname.slice(this.base.length);
    if (place.startsWith("/portal/")) return this.page(place, url, response);
    let text = "";
    for await (const piece of request) text += piece;
    const body = text === "" ? {} : JSON.parse(text);
    if (request.method !== "GET" && request.headers.origin !== this.origin) return this.refuse(response, 403, "CSRF_ERROR", "Origin");
    const session = /hxa_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    let person = this.sessions.get(session);
    if (this.isOpen) person = { handle: url.searchParams.get("responder_id") ?? "", role: "coordinator" };
    if (place === "/api/auth/login") return this.logIn(body, response);
    if (person === undefined) return this.refuse(response, 401, "AUTH_REQUIRED", "Not logged in");
    if (place === "/v1/events") return this.stream(person, response);
    return this.api(request.method, place, url.searchParams, body, person, session, response);
  }

  page(place, url, response) {
    if (["/portal/", "/portal/login", "/portal/history"].includes(place)) {
      const hash = (name) => createHash("sha256").update(this.files.get(name)).digest("hex").slice(0, 32);
      const html = this.files.get("portal.html").toString().replaceAll(/\{\{asset:([^}]+)\}\}/g, (_, name) => `${this.base}/portal/a/${name}?h=${hash(name)}`);
      response.writeHead(200, { ...this.headers, "content-type": "text/html; charset=utf-8" });
      return response.end(html.replaceAll("{{base}}", this.base));
    }
    if (place === "/portal/config.json") return this.json(response, 200, { open_portal: this.isOpen, dashboard: false });
    const file = this.files.get(place.replace("/portal/a/", ""));
    if (file === undefined) return this.refuse(response, 404, "NOT_FOUND", "File not found");
    response.writeHead(200, { ...this.headers, "content-type": `${TYPES[path.extname(place)]}; charset=utf-8` });
    return response.end(file);
  }

  logIn(body, response) {
    let handle;
    if (body.type === "person_link") {
      handle = this.codes.get(body.code);
      this.codes.delete(body.code);
    } else if (body.org_id === "org-1" && this.people.get(body.handle)?.password === body.password) handle = body.handle;
    if (handle === undefined) return this.refuse(response, 401, "INVALID_CREDENTIALS", "Wrong credentials");
    this.openSession(this.people.get(handle), response);
    return this.json(response, 200, { session: { role: "person" } });
  }

  openSession(person, response) {
    const session = randomUUID();
    this.sessions.set(session, person);
    response.setHeader("set-cookie", `hxa_session=${session}; HttpOnly; SameSite=Strict; Path=/`);
  }

  stream(person, response) {
    if (this.isStreamRefused) return this.refuse(response, 503, "UNAVAILABLE", "Later");
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.write(`retry: 2000\nevent: connected\ndata: {"client_id":"1"}\n\n`);
    const stream = { person, response };
    this.streams.add(stream);
    response.on("close", () => this.streams.delete(stream));
    return undefined;
  }

  async api(method, place, query, body, person, session, response) {
    if (place === "/api/auth/session") {
      const { id, handle, display_name, role, password } = person;
      return this.json(response, 200, { role: "person", org_id: "org-1", person: { id, handle, display_name, role, has_password: password !== null } });
    }
    if (place === "/api/auth/logout") {
      this.sessions.delete(session);
      return this.json(response, 200, { ok: true });
    }
    if (place === "/api/auth/person/password") {
      person.password = body.password;
      // The old session ends, with its streams, before the new one is told.
      this.sessions.delete(session);
      for (const stream of this.streams) stream.response.destroy();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      this.openSession(person, response);
      return this.json(response, 200, { ok: true });
    }
    if (place === "/v1/audit") return this.json(response, 200, { events: this.audit.filter((event) => event.request_id === query.get("request_id")) });
    if (place === "/v1/requests") return this.list(query, person, response);
    const [, , , id, action = ""] = place.split("/");
    const found = this.requests.get(id);
    if (found === undefined || !this.sees(person, found)) return this.refuse(response, 404, "NOT_FOUND", "Not found");
    return this.one(`${method} ${action}`, found, body, person, response);
  }

  list(query, person, response) {
    const [limit, from] = [Number(query.get("limit") ?? 50), Number(query.get("cursor") ?? 0)];
    const states = (query.get("state") ?? "").split(",").filter((state) => state !== "");
    const all = [...this.requests.values()].reverse().filter((one) => this.sees(person, one) && (states.length === 0 || states.includes(one.state)));
    const next = from + limit < all.length ? String(from + limit) : null;
    return this.json(response, 200, { requests: all.slice(from, from + limit), total: all.length, next_cursor: next });
  }

  async one(what, found, body, person, response) {
    const id = found.request_id;
    if (what === "GET ") {
      this.reads++;
      return this.json(response, 200, found);
    }
    if (what === "POST respond") {
      const failure = this.failures.shift();
      if (failure !== undefined) return this.json(response, failure.status, failure.body ?? { error: "Internal error", code: "INTERNAL", request_id: "r-1" });
    }
    if (CLOSED.includes(found.state)) return this.refuse(response, 409, "CONFLICT", `Cannot respond to CR in state ${found.state}`);
    if (what === "POST respond") {
      if (this.answerDelay > 0) await new Promise((resolve) => setTimeout(resolve, this.answerDelay));
      this.answers.push({ id, data: body.response_data, by: person.handle });
      this.answeredBy(id, person.handle, body.response_data);
      return this.json(response, 200, { status: "responded", request_id: id });
    }
    if (what === "POST reassign") this.change(id, { responder_id: body.responder_id });
    else if (what === "POST delegate") this.change(id, { delegated_to: body.responder_id, delegated_until: body.until });
    else if (what === "DELETE ") this.change(id, { state: "CANCELLED" });
    else return this.refuse(response, 404, "NOT_FOUND", "Route not found");
    return this.json(response, 200, { status: "done", request_id: id });
  }

  json(response, status, body) {
    response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
    response.end(JSON.stringify(body));
  }

  refuse(response, status, code, error) {
    this.json(response, status, { error, code });
  }
}
