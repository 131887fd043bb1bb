/** What was decided, by whom, and what ended otherwise. */

import { useEffect, useState } from "preact/hooks";

import { Attachments, Metadata } from "../components/context.tsx";
import { ErrorNote } from "../components/error_note.tsx";
import { Icon } from "../components/icon.tsx";
import { Name, Prose } from "../components/text.tsx";
import { t, word } from "../i18n/texts.ts";
import { Ago, Urgency } from "./card.tsx";
import * as history from "./history.ts";
import { commentIn, outcomeOf } from "./outcome.ts";
import { endings } from "./queue.ts";
import { Timeline } from "./timeline.tsx";
import type { CoordinationRequest } from "./types.ts";
import { said, title, who } from "./words.ts";

const KINDS = ["approved", "rejected", "answered", "cancelled", "timed_out"] as const;

/** Several endings at once are one reading. */
const GATHER_MS = 800;

function Decision({ request }: { request: CoordinationRequest }) {
  const outcome = outcomeOf(request);
  const kind = history.kindOf(request);
  const label = outcome.kind === "answered" ? (outcome.isAutomatic ? t("said.automatic", { said: said(request) }) : said(request)) : t(`kind.${kind as (typeof KINDS)[number]}`);
  return (
    <span class="decision" data-kind={kind}>
      <Icon name={kind === "rejected" || kind === "cancelled" ? "close" : kind === "timed_out" ? "clock" : "check"} />
      <span dir="auto">{label}</span>
    </span>
  );
}

function Ended({ request }: { request: CoordinationRequest }) {
  const outcome = outcomeOf(request);
  const comment = commentIn(request);
  const [isOpen, open] = useState(false);
  const { summary, detail, metadata, attachments } = request.context_package;
  return (
    <article class="ended" aria-label={title(request)}>
      <div class="card-head">
        <Decision request={request} />
        <span class="muted small">
          {outcome.kind === "answered" && (
            <>
              {t("history.by")} <Name>{who(outcome.who)}</Name>
              {" · "}
            </>
          )}
          <Ago time={request.responded_at ?? request.updated_at} />
        </span>
      </div>
      <h2 dir="auto">{title(request)}</h2>
      {comment !== null && (
        <blockquote dir="auto">
          <Prose>{comment}</Prose>
        </blockquote>
      )}
      <p class="facts-line muted small">
        <Urgency urgency={request.urgency} />
        <span>{word("intent", request.intent)}</span>
        <span>
          {t("card.from")} <Name mono>{request.agent_id}</Name>
        </span>
        <span>
          {t("card.for")} <Name>{request.responder_id}</Name>
        </span>
      </p>
      <details class="fold" onToggle={(event) => open(event.currentTarget.open)}>
        <summary>
          <Icon name="chevron" />
          {t("history.context")}
        </summary>
        <Prose>{summary}</Prose>
        {detail !== undefined && <Prose>{detail}</Prose>}
        {metadata !== undefined && <Metadata values={metadata} />}
        {attachments !== undefined && <Attachments attachments={attachments} />}
        {request.response_data !== null && (
          <>
            <p class="label">{t("history.answer")}</p>
            <pre class="code" tabIndex={0}>
              {JSON.stringify(request.response_data, null, 2)}
            </pre>
          </>
        )}
        <p class="label">{t("timeline.title")}</p>
        {isOpen && <Timeline id={request.request_id} />}
      </details>
    </article>
  );
}

function Filters() {
  return (
    <div class="filters" role="search" aria-label={t("history.filter")}>
      <label class="filter search">
        <Icon name="search" />
        <span class="unseen">{t("search")}</span>
        <input type="search" id="search" placeholder={t("search")} value={history.words.value} onInput={(event) => (history.words.value = event.currentTarget.value)} />
      </label>
      <label class="filter">
        <span class="unseen">{t("history.kind")}</span>
        <select value={history.kind.value} onChange={(event) => (history.kind.value = event.currentTarget.value)}>
          <option value="">{t("history.all")}</option>
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {t(`kind.${kind}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

export function HistoryView() {
  useEffect(() => void history.refresh(), []);
  const count = endings.value;
  useEffect(() => {
    if (!history.isRead.peek()) return undefined;
    const timer = setTimeout(() => void history.refresh(), GATHER_MS);
    return () => clearTimeout(timer);
  }, [count]);
  const list = history.ended.value;
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>{t("history.title")}</h1>
      </div>
      <Filters />
      {history.failure.value !== null && (
        <ErrorNote failure={history.failure.value}>
          <button type="button" class="small" onClick={() => void history.refresh()}>
            {t("retry")}
          </button>
        </ErrorNote>
      )}
      {history.isRead.value && list.length === 0 && (
        <div class="empty">
          <Icon name="history" />
          <p class="empty-title">{t(history.words.value === "" && history.kind.value === "" ? "history.empty" : "history.no_match")}</p>
        </div>
      )}
      <div class="cards">
        {list.map((request) => (
          <Ended key={request.request_id} request={request} />
        ))}
      </div>
      {history.hasMore.value && (
        <button type="button" class="wide" disabled={history.isReading.value} onClick={() => void history.more()}>
          {t("history.more")}
        </button>
      )}
    </>
  );
}
