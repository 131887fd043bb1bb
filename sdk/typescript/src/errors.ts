/** What goes wrong between a program and the hub, as errors that say what to do next. */

/** The hub refused a call, or what answered is not the hub. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The HTTP status. */
  readonly status: number;
  /** The hub's name of the refusal, such as `RATE_LIMITED`; programs should rely on it and never on the text. */
  readonly code: string | undefined;
  /** The answer: parsed if it is JSON, else its text. */
  readonly body: unknown;
  /** Seconds to wait before the next try, if the hub says so. */
  readonly retryAfter: number | undefined;
  /** The number of the call in the hub's log. */
  readonly requestId: string | undefined;
  /** How often the call was sent. After more than one, a 409 may be the answer to a try of one's own. */
  attempts = 1;

  constructor(status: number, body: unknown, details: { code?: string; retryAfter?: number; requestId?: string } = {}) {
    super(`HCP API error ${status}: ${typeof body === "string" ? body : JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
    this.code = details.code ?? textOf(body, "code");
    this.retryAfter = details.retryAfter ?? numberOf(body, "retry_after");
    this.requestId = details.requestId ?? textOf(body, "request_id");
  }
}

/** No answer came: the hub cannot be reached, the connection broke, or the time for one try was up. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** How often the call was sent. */
  attempts = 1;

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** Whether the hub refused with this code. */
export function isCode(error: unknown, code: string): error is ApiError {
  return error instanceof ApiError && error.code === code;
}

function fieldOf(body: unknown, field: string): unknown {
  return typeof body === "object" && body !== null ? (body as Record<string, unknown>)[field] : undefined;
}

function textOf(body: unknown, field: string): string | undefined {
  const value = fieldOf(body, field);
  return typeof value === "string" ? value : undefined;
}

function numberOf(body: unknown, field: string): number | undefined {
  const value = fieldOf(body, field);
  return typeof value === "number" ? value : undefined;
}
