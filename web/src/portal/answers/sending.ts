/** Sending an answer once: busy while it is on its way, with what the hub said against it. */

import { useRef, useState } from "preact/hooks";

import { asFailure, type Failure } from "../../lib/failure.ts";
import { answer } from "../queue.ts";
import type { CoordinationRequest } from "../types.ts";

export interface Sending {
  isBusy: boolean;
  failure: Failure | null;
  send: (data: Record<string, unknown>) => Promise<void>;
}

/** A second press while the first is on its way does nothing. */
export function useSending(request: CoordinationRequest): Sending {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const under = useRef(false);
  const send = async (data: Record<string, unknown>): Promise<void> => {
    if (under.current) return;
    under.current = true;
    setBusy(true);
    setFailure(null);
    try {
      await answer(request, data);
    } catch (error) {
      setFailure(asFailure(error));
    } finally {
      under.current = false;
      setBusy(false);
    }
  };
  return { isBusy, failure, send };
}
