/** Time: pauses that a signal ends, and a clock that never jumps. */

/** Milliseconds on a clock that nobody sets. */
export function now(): number {
  return performance.now();
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    // Longer than a timer can run; what comes back early asks again.
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, Math.min(Math.max(0, ms), 2_147_483_647));
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** What a `Retry-After` header says, in seconds: it is a number or a date. */
export function secondsUntil(header: string | null): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
