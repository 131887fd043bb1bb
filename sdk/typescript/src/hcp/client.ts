/** The agent's side of human coordination: ask, wait, read the answer. */

import { ApiError } from "../errors.js";
import { now, sleep } from "../timing.js";
import { Transport } from "../transport.js";
import type { CallOptions, TransportOptions } from "../transport.js";
import type { State } from "./schemas.js";
import type {
  AuditEvent,
  AuditFilters,
  CoordinationRequest,
  CreateCRInput,
  Outcome,
  PageEnd,
  RequestFilters,
  SubmitResponseInput,
} from "./types.js";

/** How the client reaches the hub. */
export type HCPClientOptions = TransportOptions;

/** How to wait for an answer. */
export interface WaitOptions extends CallOptions {
  /** Pause between polls of a server that does not hold them; this hub does, so answers come at once. Default 2,000. */
  pollIntervalMs?: number | undefined;
  /**
   * Most milliseconds to wait before throwing a {@link WaitTimeoutError}. Default of `coordinate`: 5 seconds more than
   * the request's own deadline, escalations included, so that its fallback comes back as a result. Default of
   * `waitFor`: no limit, for every request ends at its deadline.
   */
  maxWaitMs?: number | undefined;
  /** Cancels the request when the wait is given up: by the signal, by `maxWaitMs` or by an error. Default false. */
  cancelOnGiveUp?: boolean | undefined;
}

/** The wait was longer than `maxWaitMs`. */
export class WaitTimeoutError extends Error {
  override readonly name = "WaitTimeoutError";
  /** The request as it was last seen. */
  readonly request: CoordinationRequest;
  /** Whether it was cancelled. */
  readonly isCancelled: boolean;

  constructor(request: CoordinationRequest, waitedMs: number, isCancelled: boolean) {
    super(`CR ${request.request_id} did not reach terminal state within ${Math.round(waitedMs)}ms`);
    this.request = request;
    this.isCancelled = isCancelled;
  }
}

const FINAL: ReadonlySet<State> = new Set<State>(["DELIVERED", "TIMED_OUT", "CANCELLED"]);
const GRACE_MS = 5_000;
/** How long a poll is held: shorter than the 30 seconds after which many proxies cut idle connections. */
const HOLD_S = 25;
/** Time for the farewell to a request that nobody waits for any more. */
const FAREWELL_MS = 5_000;

/** A client of one hub with one key. It holds no connections and needs no closing. */
export class HCPClient {
  readonly #transport: Transport;

  constructor(options: HCPClientOptions) {
    this.#transport = new Transport(options);
  }

  /** Creates a request and returns at once. Sent under an idempotency key, so that repetitions ask nobody twice. */
  submit(input: CreateCRInput, options: CallOptions = {}): Promise<CoordinationRequest> {
    const body = { ...input, idempotency_key: input.idempotency_key ?? crypto.randomUUID() };
    return this.#transport.call({ ...options, method: "POST", path: "/v1/requests", body });
  }

  /**
   * Creates a request and waits until it is DELIVERED, TIMED_OUT or CANCELLED; which of them is in `state`. With an
   * `idempotency_key` an agent that was restarted goes on waiting for the request it made before.
   */
  async coordinate(input: CreateCRInput, options: WaitOptions = {}): Promise<CoordinationRequest> {
    const began = now();
    const request = await this.submit(input, options);
    return this.#wait(request, began, options, options.maxWaitMs ?? "deadline");
  }

  /** Waits for a request that was made before. */
  async waitFor(requestId: string, options: WaitOptions = {}): Promise<CoordinationRequest> {
    const began = now();
    const request = await this.getRequest(requestId, options);
    return this.#wait(request, began, options, options.maxWaitMs ?? Number.POSITIVE_INFINITY);
  }

  /** Reads a request. If it is RESPONDED and the key's own, reading makes it DELIVERED. */
  getRequest(requestId: string, options: CallOptions = {}): Promise<CoordinationRequest> {
    return this.#transport.call({ ...options, method: "GET", path: pathOf(requestId) });
  }

  /** Answers a request; the key needs the right to. */
  respond(requestId: string, input: SubmitResponseInput, options: CallOptions = {}): Promise<Outcome> {
    return this.#transport.call({ ...options, method: "POST", path: `${pathOf(requestId)}/respond`, body: input });
  }

  /** Cancels a request that nobody has answered. */
  async cancelRequest(requestId: string, options: CallOptions = {}): Promise<Outcome> {
    try {
      return await this.#transport.call({ ...options, method: "DELETE", path: pathOf(requestId) });
    } catch (error) {
      // A try before this one got through, but not its answer.
      if (error instanceof ApiError && error.status === 409 && error.attempts > 1 && tellsOf(error, "CANCELLED")) {
        return { status: "cancelled", request_id: requestId };
      }
      throw error;
    }
  }

  /** Lists requests, the newest first. */
  listRequests(
    filters: RequestFilters = {},
    options: CallOptions = {},
  ): Promise<{ requests: CoordinationRequest[] } & PageEnd> {
    return this.#transport.call({ ...options, method: "GET", path: "/v1/requests", query: filters });
  }

  /** Lists audit events, the oldest first. */
  queryAudit(filters: AuditFilters = {}, options: CallOptions = {}): Promise<{ events: AuditEvent[] } & PageEnd> {
    return this.#transport.call({ ...options, method: "GET", path: "/v1/audit", query: filters });
  }

  async #wait(
    first: CoordinationRequest,
    began: number,
    options: WaitOptions,
    limit: number | "deadline",
  ): Promise<CoordinationRequest> {
    let last = first;
    try {
      while (!FINAL.has(last.state)) {
        const asked = now();
        const end = began + (limit === "deadline" ? timeOf(last) + GRACE_MS : limit);
        const next = await this.#poll(last.request_id, end, options);
        if (FINAL.has(next.state)) return next;
        if (now() >= end && (limit !== "deadline" || next.timeout_at === last.timeout_at)) {
          return await this.#giveUp(next, now() - began, options);
        }
        // What changed may change again at once; what did not was held for long, or the server holds nothing.
        const pause = isChanged(last, next) ? 0 : (options.pollIntervalMs ?? 2_000) - (now() - asked);
        await sleep(Math.min(pause, end - now()), options.signal);
        last = next;
      }
      return last;
    } catch (error) {
      if (options.cancelOnGiveUp && !(error instanceof WaitTimeoutError)) await this.#farewell(last.request_id);
      throw error;
    }
  }

  /** One look at a request, held by the hub until it changes; a hub that is away meanwhile is waited for. */
  #poll(requestId: string, end: number, options: WaitOptions): Promise<CoordinationRequest> {
    const { signal, timeoutMs } = options;
    const hold = Math.max(0, Math.min(HOLD_S, Math.floor((end - now()) / 1000)));
    const query = hold > 0 ? { wait: hold } : undefined;
    const path = pathOf(requestId);
    const held = { query, holdMs: hold * 1000, retryUntil: end };
    return this.#transport.call({ signal, timeoutMs, method: "GET", path, ...held });
  }

  async #giveUp(request: CoordinationRequest, waitedMs: number, options: WaitOptions): Promise<CoordinationRequest> {
    if (!options.cancelOnGiveUp) throw new WaitTimeoutError(request, waitedMs, false);
    const isCancelled = await this.#farewell(request.request_id);
    if (!isCancelled) {
      // Perhaps it was answered at the last moment.
      const ended = await this.getRequest(request.request_id, { ...options, signal: options.signal });
      if (FINAL.has(ended.state)) return ended;
    }
    throw new WaitTimeoutError(request, waitedMs, isCancelled);
  }

  /** Cancels without a word if that cannot be done: the caller is on its way out with an error of its own. */
  async #farewell(requestId: string): Promise<boolean> {
    try {
      await this.cancelRequest(requestId, { signal: AbortSignal.timeout(FAREWELL_MS) });
      return true;
    } catch {
      return false;
    }
  }
}

function pathOf(requestId: string): string {
  // An empty id would be the path of the list.
  if (typeof requestId !== "string" || requestId === "") throw new TypeError("requestId is missing");
  return `/v1/requests/${encodeURIComponent(requestId)}`;
}

/** Milliseconds that a request has altogether, by the hub's clock alone. */
function timeOf(request: CoordinationRequest): number {
  const ms = Date.parse(request.timeout_at) - Date.parse(request.submitted_at);
  return Number.isNaN(ms) ? request.timeout_policy.timeout_seconds * 1000 : ms;
}

function isChanged(last: CoordinationRequest, next: CoordinationRequest): boolean {
  return last.updated_at !== next.updated_at || last.state !== next.state;
}

/** Whether a refusal names this state, as a field or in its text. */
function tellsOf(error: ApiError, state: State): boolean {
  const { state: field, error: text } = (error.body ?? {}) as { state?: unknown; error?: unknown };
  return field === state || (typeof text === "string" && text.includes(`state ${state}`));
}
