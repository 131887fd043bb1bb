/** A call that failed, with what the hub said of it. */

/** What is wrong with one field of a body. */
export interface Fault {
  path: string;
  message: string;
}

export class Failure extends Error {
  /** `status` is 0 when there was no answer at all. */
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly faults: readonly Fault[] = [],
    readonly retryAfter: number | null = null,
    readonly requestId: string | null = null,
  ) {
    super(message);
  }

  /** Whether the same call may succeed later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function faultsOf(body: Record<string, unknown>): Fault[] {
  const list = Array.isArray(body["faults"]) ? body["faults"] : [];
  return list.flatMap((fault: unknown) => {
    if (typeof fault !== "object" || fault === null) return [];
    const { path, message } = fault as Record<string, unknown>;
    return typeof message === "string" ? [{ path: typeof path === "string" ? path : "", message }] : [];
  });
}

/** The failure that an answer of the hub tells. */
export function failureOf(status: number, body: unknown, retryAfter: string | null): Failure {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const seconds = Number(retryAfter ?? fields["retry_after"]);
  return new Failure(
    status,
    text(fields["error"]) ?? text(fields["message"]) ?? `HTTP ${status}`,
    text(fields["code"]),
    faultsOf(fields),
    Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    text(fields["request_id"]),
  );
}

/** Any thrown value as a failure. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure(0, thrown instanceof Error ? thrown.message : String(thrown));
}
