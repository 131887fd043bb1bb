/** A server that says what a test tells it to, and remembers what it was asked. */

import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import type { AddressInfo } from "node:net";

import { HCPClient } from "../src/hcp/index.js";
import type { CoordinationRequest, CreateCRInput, HCPClientOptions } from "../src/hcp/index.js";

/** One call as it arrived. */
export interface Asked {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown> | undefined;
}

/** What to do with a call: answer it, break the connection, or never answer. */
export type Reply =
  | { status?: number; headers?: Record<string, string>; body?: unknown; text?: string; afterMs?: number }
  | "cut"
  | "silence";

export class FakeHub {
  readonly asked: Asked[] = [];
  /** Answers what `next` has not. */
  always: (asked: Asked) => Reply = () => ({ status: 500, body: { error: "not scripted" } });
  readonly #queue: Reply[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const { method = "", url = "", headers } = request;
        const asked: Asked = { method, url, headers, text, body: text === "" ? undefined : JSON.parse(text) };
        this.asked.push(asked);
        const reply = this.#queue.shift() ?? this.always(asked);
        if (reply === "cut") request.socket.destroy();
        if (typeof reply === "string") return;
        setTimeout(() => {
          response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers });
          response.end(reply.text ?? JSON.stringify(reply.body ?? {}));
        }, reply.afterMs ?? 0);
      });
    });
  }

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  /** Does this with the next calls, one each. */
  next(...replies: Reply[]): void {
    this.#queue.push(...replies);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A client that repeats quickly. */
  client(options: Partial<HCPClientOptions> = {}): HCPClient {
    return new HCPClient({ baseUrl: this.url, apiKey: KEY, retry: { minDelayMs: 1, maxDelayMs: 5 }, ...options });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const KEY = `hcp_${"0123456789abcdef".repeat(4)}`;

/** The first example of the reference. */
export const INPUT: CreateCRInput = {
  intent: "APPROVAL",
  urgency: "HIGH",
  context_package: { summary: "Deploy v2.1.0 to production", detail: "Includes new auth flow and 3 bug fixes." },
  timeout_policy: { timeout_seconds: 600, fallback: "AUTO_REJECT" },
  routing_hints: { responder_id: "dora", channel: "portal" },
};

export const ID = "01KC0000000000000000000ADA";
const BEGAN = Date.parse("2026-12-01T10:00:00.000Z");

/** A request of ten minutes, or of `seconds`. */
export function request(changes: Partial<CoordinationRequest> = {}, seconds = 600): CoordinationRequest {
  return {
    request_id: ID,
    agent_id: "ada",
    intent: "APPROVAL",
    urgency: "HIGH",
    state: "PENDING_RESPONSE",
    context_package: INPUT.context_package,
    response_schema: null,
    timeout_policy: INPUT.timeout_policy,
    routing_hints: { responder_id: "dora", channel: "portal" },
    trace_id: null,
    idempotency_key: null,
    responder_id: "dora",
    response_data: null,
    responded_by: null,
    responded_at: null,
    submitted_at: new Date(BEGAN).toISOString(),
    updated_at: new Date(BEGAN).toISOString(),
    timeout_at: new Date(BEGAN + seconds * 1000).toISOString(),
    delivered_at: null,
    ...changes,
  };
}

/** The same with dora's approval. */
export function answered(): CoordinationRequest {
  return request({
    state: "DELIVERED",
    response_data: { decision: "approved" },
    responded_by: "dora",
    updated_at: "2026-12-01T10:01:00.000Z",
  });
}
