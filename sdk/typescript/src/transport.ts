/** Calls to the hub: one place for the credential, time limits, repetition and errors. */

import { ApiError, ConnectionError } from "./errors.js";
import { now, secondsUntil, sleep } from "./timing.js";

/** How often and how fast a call is repeated. */
export interface RetryOptions {
  /** Most times that a call is sent; 1 means never again. Default 4. */
  attempts?: number | undefined;
  /** Pause before the second try; it doubles with each one. Default 500. */
  minDelayMs?: number | undefined;
  /** Longest pause. Default 8,000. */
  maxDelayMs?: number | undefined;
  /** Longest `Retry-After` that is waited for; with a longer one the refusal is thrown at once. Default 60,000. */
  maxRetryAfterMs?: number | undefined;
}

/** What each call takes. */
export interface CallOptions {
  /** Ends the call, its repetitions and pauses; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Most milliseconds for one try. Default: the client's. */
  timeoutMs?: number | undefined;
}

/** How a client reaches the hub. */
export interface TransportOptions {
  /** The hub's address, with its base path if it has one. */
  baseUrl: string;
  /** The key: a key of `setup-key` or a bot's token. */
  apiKey: string;
  /** Most milliseconds for one try of one call. Default 30,000. */
  timeoutMs?: number | undefined;
  /** How failed calls are repeated. */
  retry?: RetryOptions | undefined;
  /** Stands in for the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

/** One call. */
export interface Call extends CallOptions {
  method: "GET" | "POST" | "DELETE";
  path: string;
  query?: object | undefined;
  body?: unknown;
  /** Milliseconds that the hub may hold its answer back; added to the time of each try. */
  holdMs?: number;
  /** Until then, on the clock of `now()`, failures are repeated however many there are. */
  retryUntil?: number;
}

const RETRIED = new Set([429, 502, 503, 504]);
const DEFAULTS = { attempts: 4, minDelayMs: 500, maxDelayMs: 8_000, maxRetryAfterMs: 60_000 };

export class Transport {
  readonly #base: string;
  readonly #key: string;
  readonly #timeoutMs: number;
  readonly #retry: { [Name in keyof RetryOptions]-?: number };
  readonly #fetch: typeof globalThis.fetch | undefined;

  constructor(options: TransportOptions) {
    this.#base = baseOf(options.baseUrl);
    this.#key = keyOf(options.apiKey);
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    const given = options.retry ?? {};
    this.#retry = {
      attempts: given.attempts ?? DEFAULTS.attempts,
      minDelayMs: given.minDelayMs ?? DEFAULTS.minDelayMs,
      maxDelayMs: given.maxDelayMs ?? DEFAULTS.maxDelayMs,
      maxRetryAfterMs: given.maxRetryAfterMs ?? DEFAULTS.maxRetryAfterMs,
    };
    this.#fetch = options.fetch;
  }

  /**
   * Sends a call, again where that may help, and gives the JSON of the answer. Every call that changes something must
   * be one that the hub does once only, however often it comes.
   */
  async call<T>(call: Call): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return (await this.#try(call)) as T;
      } catch (error) {
        if (!(error instanceof ApiError || error instanceof ConnectionError)) throw error;
        error.attempts = attempt;
        const pause = this.#pauseAfter(error, attempt);
        if (pause === undefined) throw error;
        const isInTime = now() + pause < (call.retryUntil ?? 0);
        const isAllowed = attempt < this.#retry.attempts && pause <= this.#retry.maxRetryAfterMs;
        if (!isInTime && !isAllowed) throw error;
        await sleep(pause, call.signal);
      }
    }
  }

  /** Milliseconds until the next try, or nothing where one cannot help. */
  #pauseAfter(error: ApiError | ConnectionError, attempt: number): number | undefined {
    if (error instanceof ApiError) {
      if (!RETRIED.has(error.status) && error.code !== "IDEMPOTENCY_IN_PROGRESS") return undefined;
      if (error.retryAfter !== undefined) return error.retryAfter * 1000;
    }
    const grown = this.#retry.minDelayMs * 2 ** Math.min(attempt - 1, 30);
    // Clients that failed together come back apart.
    return Math.min(grown, this.#retry.maxDelayMs) * (0.5 + Math.random() / 2);
  }

  async #try(call: Call): Promise<unknown> {
    call.signal?.throwIfAborted();
    const limitMs = (call.timeoutMs ?? this.#timeoutMs) + (call.holdMs ?? 0);
    const both = new AbortController();
    const stop = (): void => both.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => both.abort(new Error(`no answer within ${limitMs} ms`)), limitMs);
    const url = `${this.#base}${call.path}${queryOf(call.query)}`;
    try {
      const response = await (this.#fetch ?? globalThis.fetch)(url, { ...this.#init(call), signal: both.signal });
      return read(response, await response.text());
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason;
      if (error instanceof ApiError) throw error;
      throw new ConnectionError(`no answer to ${call.method} ${url}: ${reasonOf(error)}`, error);
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", stop);
    }
  }

  #init(call: Call): RequestInit {
    const headers: Record<string, string> = { accept: "application/json", authorization: `Bearer ${this.#key}` };
    // A redirected POST would come back as a GET and give something else: redirects are refusals.
    const init: RequestInit = { method: call.method, headers, redirect: "manual" };
    if (call.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(call.body);
    }
    return init;
  }
}

function baseOf(baseUrl: string): string {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw new TypeError(`baseUrl is no URL: ${JSON.stringify(baseUrl)}; it is like "http://localhost:4800"`);
  }
  if (!["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new TypeError("baseUrl is http:// or https://, without user, query and fragment");
  }
  return url.href.replace(/\/+$/, "");
}

function keyOf(apiKey: string): string {
  const key = typeof apiKey === "string" ? apiKey.trim() : "";
  // The key itself is not shown: errors end up in logs.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new TypeError("apiKey is missing, or has characters that no key has");
  return key;
}

function queryOf(query: object | undefined): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null) continue;
    params.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

function read(response: Response, text: string): unknown {
  const details: { code?: string; retryAfter?: number; requestId?: string } = {};
  const retryAfter = secondsUntil(response.headers.get("retry-after"));
  if (retryAfter !== undefined) details.retryAfter = retryAfter;
  const requestId = response.headers.get("x-request-id");
  if (requestId !== null) details.requestId = requestId;
  if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
    const target = response.headers.get("location") ?? "another address";
    throw new ApiError(response.status, `redirected to ${target}; use the hub's own address as baseUrl`, details);
  }
  let body: unknown = text;
  let isJson = true;
  try {
    body = JSON.parse(text);
  } catch {
    isJson = false;
  }
  if (!response.ok) throw new ApiError(response.status, body, details);
  if (!isJson) throw new ApiError(response.status, text, { ...details, code: "NOT_JSON" });
  return body;
}

/** `fetch` says "fetch failed" and hides the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return cause.message || (typeof code === "string" ? code : cause.name);
}
