/** What happened to a request so far, read when it is shown. */

import { useEffect, useState } from "preact/hooks";

import { ErrorNote } from "../components/error_note.tsx";
import { Name } from "../components/text.tsx";
import { moment } from "../i18n/times.ts";
import { t } from "../i18n/texts.ts";
import { asFailure, type Failure } from "../lib/failure.ts";
import { listAudit } from "./hub.ts";
import type { AuditEvent } from "./types.ts";
import { happened } from "./words.ts";

/** The decision in an answer or a vote. */
function decision(payload: AuditEvent["payload"]): string | null {
  const answer = payload["response_data"];
  const said: unknown = typeof answer === "object" && answer !== null && "decision" in answer ? answer.decision : payload["decision"];
  return said === "approved" || said === "rejected" ? t(`said.${said}`) : null;
}

/** What of an event's payload tells more than its name: to whom it went, or what was said. */
function detail({ event_type, payload }: AuditEvent): string | null {
  if (event_type === "CR_ROUTING") return null;
  const whom = payload["to"] ?? payload["responder_id"] ?? payload["escalation_responder_id"] ?? payload["channel_id"];
  return typeof whom === "string" ? whom : decision(payload);
}

function Step({ event }: { event: AuditEvent }) {
  const told = detail(event);
  return (
    <div class="step">
      <time dateTime={event.created_at} class="muted small">
        {moment(Date.parse(event.created_at))}
      </time>
      <span>
        {happened(event.event_type)}
        {told !== null && (
          <>
            {": "}
            <Name>{told}</Name>
          </>
        )}
        <span class="muted small">
          {" · "}
          <Name>{event.actor}</Name>
        </span>
      </span>
    </div>
  );
}

export function Timeline({ id }: { id: string }) {
  const [events, setEvents] = useState<readonly AuditEvent[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    listAudit(id).then(setEvents, (error: unknown) => setFailure(asFailure(error)));
  }, [id]);
  return (
    <div class="timeline">
      {failure !== null && (failure.status === 403 || failure.status === 404 ? <p class="muted">{t("timeline.closed")}</p> : <ErrorNote failure={failure} />)}
      {events !== null && events.map((event) => <Step key={event.event_id} event={event} />)}
      {events !== null && events.length === 0 && <p class="muted">{t("timeline.empty")}</p>}
      {events === null && failure === null && <p class="muted">{t("loading")}</p>}
    </div>
  );
}
