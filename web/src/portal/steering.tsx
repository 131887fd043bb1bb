/** What may be done with a request besides answering it: hand it over, let somebody else answer too, withdraw it. */

import { useId, useState } from "preact/hooks";

import { Dialog } from "../components/dialog.tsx";
import { ErrorNote } from "../components/error_note.tsx";
import { Icon } from "../components/icon.tsx";
import { t } from "../i18n/texts.ts";
import { announce } from "../lib/announce.ts";
import { asFailure, type Failure } from "../lib/failure.ts";
import { cancel, delegate, entries, reassign } from "./queue.ts";
import { isCoordinator, isReader, openName, person } from "./session.ts";
import type { CoordinationRequest } from "./types.ts";
import { title } from "./words.ts";

const SPANS_H = [1, 4, 24, 72, 168] as const;

/** Names that requests of the queue know. */
function names(): string[] {
  const all = [...entries.value.values()].flatMap(({ request }) => [request.responder_id, ...(request.routing_hints.quorum?.of ?? [])]);
  return [...new Set(all)].sort();
}

/** Whether this person may do any of it. */
export function maySteer(request: CoordinationRequest): boolean {
  if (openName.value !== null || isReader.value) return false;
  const isOwn = request.responder_id.toLowerCase() === person.value?.handle.toLowerCase();
  return isCoordinator.value || (isOwn && request.routing_hints.quorum === undefined);
}

export function Steering({ request }: { request: CoordinationRequest }) {
  const [field, list] = [useId(), useId()];
  const [name, setName] = useState("");
  const [hours, setHours] = useState(24);
  const [isAsking, ask] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const attempt = (work: () => Promise<void>): void => {
    setFailure(null);
    work().catch((error: unknown) => setFailure(asFailure(error)));
  };
  // The members of a quorum decide themselves.
  const isShared = request.routing_hints.quorum !== undefined;
  const isNamed = name.trim() !== "";
  const hand = (): void => attempt(() => reassign(request, name.trim()));
  const lend = (): void =>
    attempt(async () => {
      await delegate(request, name.trim(), new Date(Date.now() + hours * 3_600_000));
      announce(t("steer.delegated", { who: name.trim() }));
      setName("");
    });
  return (
    <div class="steering">
      {!isShared && (
        <div class="field">
          <label for={field}>{t("steer.person")}</label>
          <input id={field} list={list} autoComplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          <datalist id={list}>
            {names().map((known) => (
              <option key={known} value={known} />
            ))}
          </datalist>
        </div>
      )}
      <div class="row">
        {isCoordinator.value && !isShared && (
          <button type="button" disabled={!isNamed} onClick={hand}>
            <Icon name="swap" />
            {t("steer.reassign")}
          </button>
        )}
        {!isShared && (
          <>
            <button type="button" disabled={!isNamed} onClick={lend}>
              <Icon name="user" />
              {t("steer.delegate")}
            </button>
            <select aria-label={t("steer.span")} value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
              {SPANS_H.map((span) => (
                <option key={span} value={span}>
                  {t("steer.hours", { count: span })}
                </option>
              ))}
            </select>
          </>
        )}
        {isCoordinator.value && (
          <button type="button" class="danger" onClick={() => ask(true)}>
            {t("steer.cancel")}
          </button>
        )}
      </div>
      {failure !== null && <ErrorNote failure={failure} />}
      {isAsking && (
        <Dialog title={t("steer.cancel_title")} onClose={() => ask(false)}>
          <p>{t("steer.cancel_text", { title: title(request) })}</p>
          <div class="row">
            <button
              type="button"
              class="danger solid"
              onClick={() => {
                ask(false);
                attempt(() => cancel(request));
              }}
            >
              {t("steer.cancel_confirm")}
            </button>
            <button type="button" onClick={() => ask(false)}>
              {t("steer.keep")}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
