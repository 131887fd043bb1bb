/** A request with everything that is known of it and everything that may be done with it. */

import { useEffect, useRef, useState } from "preact/hooks";

import { Attachments, Metadata } from "../components/context.tsx";
import { Countdown } from "../components/countdown.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Name, Plain, Prose } from "../components/text.tsx";
import { ago, moment } from "../i18n/times.ts";
import { t, word } from "../i18n/texts.ts";
import { now } from "../lib/clock.ts";
import { base } from "../lib/page.ts";
import { AcknowledgeAnswer } from "./answers/acknowledge.tsx";
import { ApprovalAnswer } from "./answers/approval.tsx";
import { ChoiceAnswer } from "./answers/choice.tsx";
import { StructuredAnswer } from "./answers/structured.tsx";
import { TextAnswer } from "./answers/text.tsx";
import { modeOf } from "./mode.ts";
import { deadline } from "./order.ts";
import { loaded } from "./queue.ts";
import { focused } from "./route.ts";
import { config, isCoordinator, isReader, person } from "./session.ts";
import { maySteer, Steering } from "./steering.tsx";
import { Timeline } from "./timeline.tsx";
import type { CoordinationRequest } from "./types.ts";
import { fallback } from "./words.ts";

const GLYPHS: Readonly<Record<string, IconName>> = { CRITICAL: "alert", HIGH: "arrowUp", MEDIUM: "equal", LOW: "low" };

/** Its urgency as glyph and word. */
export function Urgency({ urgency }: { urgency: string }) {
  return (
    <span class="badge" data-urgency={urgency}>
      <Icon name={GLYPHS[urgency] ?? "dot"} />
      {word("urgency", urgency)}
    </span>
  );
}

/** A moment as people tell it; drawn again each minute at most. */
export function Ago({ time }: { time: string }) {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return null;
  return (
    <time dateTime={time} title={moment(at)}>
      {ago(at, now.value)}
    </time>
  );
}

export function headingId(request: CoordinationRequest): string {
  return `request-${request.request_id}`;
}

function Answer({ request }: { request: CoordinationRequest }) {
  if (isReader.value) return <p class="muted">{t("card.read_only")}</p>;
  const mode = modeOf(request);
  switch (mode.kind) {
    case "approval":
      return <ApprovalAnswer request={request} proposal={mode.proposal} />;
    case "choice":
      return <ChoiceAnswer request={request} options={mode.options} isMultiple={mode.isMultiple} mayReject={mode.mayReject} />;
    case "structured":
      return <StructuredAnswer request={request} schema={mode.schema} mayReject={mode.mayReject} />;
    case "acknowledge":
      return <AcknowledgeAnswer request={request} />;
    default:
      return <TextAnswer request={request} />;
  }
}

/** Who else is asked, and where it belongs. */
function Facts({ request }: { request: CoordinationRequest }) {
  const { quorum } = request.routing_hints;
  const isOther = request.responder_id.toLowerCase() !== person.value?.handle.toLowerCase();
  return (
    <div class="facts-line muted small">
      {isOther && (
        <span>
          {t("card.for")} <Name>{request.responder_id}</Name>
        </span>
      )}
      {quorum !== undefined && <span>{t("card.quorum", { need: quorum.need, of: quorum.of.join(", ") })}</span>}
      {request.delegated_to != null && <span>{t("card.delegated", { who: request.delegated_to })}</span>}
      <span>
        {t("card.asked")} <Ago time={request.submitted_at} />
      </span>
      <span>{fallback(request)}</span>
      {request.thread_id != null && <Thread id={request.thread_id} />}
      {request.trace_id !== null && (
        <span>
          {t("card.trace")} <Name mono>{request.trace_id}</Name>
        </span>
      )}
    </div>
  );
}

function Thread({ id }: { id: string }) {
  return (
    <span>
      <Icon name="thread" /> {t("card.thread")}{" "}
      {config.value.dashboard === true ? (
        <a href={`${base}/ui/threads/${encodeURIComponent(id)}`} class="mono">
          {id}
        </a>
      ) : (
        <Name mono>{id}</Name>
      )}
    </span>
  );
}

/** What is seldom wanted, behind a button each. */
function Extras({ request }: { request: CoordinationRequest }) {
  const [open, setOpen] = useState<"timeline" | "steering" | null>(null);
  const toggle = (which: "timeline" | "steering"): void => setOpen(open === which ? null : which);
  const steer = t(isCoordinator.value ? "steer.title" : "steer.title_delegate");
  return (
    <div class="extras">
      <div class="row">
        <button type="button" class="quiet small" aria-expanded={open === "timeline"} onClick={() => toggle("timeline")}>
          <Icon name="history" />
          {t("timeline.title")}
        </button>
        {maySteer(request) && (
          <button type="button" class="quiet small" aria-expanded={open === "steering"} onClick={() => toggle("steering")}>
            <Icon name="swap" />
            {steer}
          </button>
        )}
      </div>
      {open === "timeline" && <Timeline id={request.request_id} />}
      {open === "steering" && <Steering request={request} />}
    </div>
  );
}

export function Card({ request }: { request: CoordinationRequest }) {
  const own = useRef<HTMLElement>(null);
  const id = headingId(request);
  const isNamed = focused.value === request.request_id;
  // It may be read before the others, which then come above it.
  const isQueueRead = loaded.value;
  const { summary, detail, metadata, attachments } = request.context_package;
  useEffect(() => {
    if (!isNamed) return;
    own.current?.scrollIntoView({ block: "start" });
    document.getElementById(id)?.focus({ preventScroll: true });
  }, [isNamed, isQueueRead]);
  return (
    <article ref={own} class={isNamed ? "card named" : "card"} data-urgency={request.urgency} data-request={request.request_id} aria-labelledby={id}>
      <div class="card-head">
        <Urgency urgency={request.urgency} />
        <span class="intent">{word("intent", request.intent)}</span>
        <span class="from">
          {t("card.from")} <Name mono>{request.agent_id}</Name>
        </span>
        <Countdown until={deadline(request)} />
      </div>
      <h2 id={id} tabIndex={-1} dir="auto">
        <Plain>{summary}</Plain>
      </h2>
      {detail !== undefined && detail !== "" && <Prose>{detail}</Prose>}
      {metadata !== undefined && <Metadata values={metadata} />}
      {attachments !== undefined && <Attachments attachments={attachments} />}
      <Facts request={request} />
      <Answer request={request} />
      <Extras request={request} />
    </article>
  );
}
