/** An organisation on a hub that runs, with an agent that asks and people who answer, for the portal's browser tests. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

/** Who calls the hub: its headers. */
class Caller {
  constructor(base, headers) {
    Object.assign(this, { base, headers: { ...headers, origin: base.origin, "content-type": "application/json" } });
  }

  /** An answer whatever its status. */
  async call(method, path, body) {
    const response = await fetch(new URL(path, this.base), { method, headers: this.headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { response, status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** The body of an answer, which must be a good one. */
  async good(method, path, body) {
    const answer = await this.call(method, path, body);
    assert.ok(answer.response.ok, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** The same hub by the cookie that a login gives. */
  async logIn(body) {
    const answer = await this.call("POST", "/api/auth/login", body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const [cookie] = answer.response.headers.getSetCookie()[0].split(";");
    return new Caller(this.base, { cookie });
  }
}

/** A new organisation of the hub at this address. */
export async function startOrg(base, adminSecret) {
  const nobody = new Caller(base, {});
  const operator = await nobody.logIn({ type: "super_admin", admin_secret: adminSecret });
  const { id, org_secret } = await operator.good("POST", "/api/orgs", { name: `portal-${randomUUID()}` });
  const admin = await nobody.logIn({ type: "org_admin", org_id: id, org_secret });
  const { key } = await admin.good("POST", "/api/org/keys", { agent_id: "ada", label: "the portal's tests" });
  return new Organisation({ base, operator, nobody, admin, id, agent: new Caller(base, { authorization: `Bearer ${key}` }) });
}

class Organisation {
  people = new Map();

  constructor(parts) {
    Object.assign(this, parts);
    this.origin = this.base.origin;
    this.url = this.base.origin;
  }

  async person(handle, role = "responder") {
    const person = await this.admin.good("POST", "/api/org/people", { handle, role });
    this.people.set(handle, person);
    return person;
  }

  /** A new login link. */
  async link(handle) {
    const { path } = await this.admin.good("POST", `/api/org/people/${this.people.get(handle).id}/link`, {});
    return this.url + path;
  }

  /** A person who does not use a browser. */
  async session(handle) {
    const code = new URL(await this.link(handle)).searchParams.get("code");
    return this.nobody.logIn({ type: "person_link", code });
  }

  /** The agent asks; what is left out is ordinary. The request's id. */
  async add(fields = {}) {
    const { summary = "A request", detail, metadata, attachments, seconds = 3600, to = "dora", policy = {}, hints = {}, ...rest } = fields;
    const made = await this.agent.good("POST", "/v1/requests", {
      intent: "APPROVAL",
      urgency: "MEDIUM",
      context_package: { summary, detail, metadata, attachments },
      timeout_policy: { timeout_seconds: seconds, fallback: "AUTO_REJECT", ...policy },
      routing_hints: { responder_id: to, ...hints },
      ...rest,
    });
    return made.request_id;
  }

  /** A request as its agent reads it, which delivers an answer. */
  read(id) {
    return this.agent.good("GET", `/v1/requests/${id}`);
  }

  /** The answer that the agent gets, and who gave it. Until then nobody's reading has delivered it. */
  async answer(id) {
    const { requests } = await this.agent.good("GET", "/v1/requests?limit=1000");
    const { state } = requests.find((request) => request.request_id === id);
    assert.equal(state, "RESPONDED");
    const { response_data, responded_by } = await this.read(id);
    return { data: response_data, by: responded_by };
  }

  cancel(id) {
    return this.agent.good("DELETE", `/v1/requests/${id}`);
  }

  /** Somebody answers elsewhere. */
  async answerAs(handle, id, data) {
    const somebody = await this.session(handle);
    return somebody.good("POST", `/v1/requests/${id}/respond`, { response_data: data });
  }

  /** The organisation goes, with all that is in it. */
  async close() {
    await this.operator.good("DELETE", `/api/orgs/${this.id}`);
  }
}
