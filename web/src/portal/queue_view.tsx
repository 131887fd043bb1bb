/** The queue: the most urgent request first. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ErrorNote } from "../components/error_note.tsx";
import { Icon } from "../components/icon.tsx";
import { t, tn, word } from "../i18n/texts.ts";
import { Card } from "./card.tsx";
import { isBegun } from "./drafts.ts";
import { GoneLine } from "./gone.tsx";
import { matches, URGENCIES } from "./order.ts";
import { type Entry, isCut, loaded, loadFailure, reload, sorted, waiting } from "./queue.ts";
import { focused } from "./route.ts";
import { isCoordinator, isReader, openName, person, wantedResponder } from "./session.ts";

/** So many cards are drawn; the others behind a button. */
const STEP = 40;

/** A shorter queue needs no search. */
const SEARCHED_FROM = 6;

const shown = signal(STEP);
const words = signal("");
const urgency = signal("");
const responder = signal<string | null>(null);

export function resetFilters(): void {
  shown.value = STEP;
  words.value = "";
  urgency.value = "";
  responder.value = null;
}

function isWanted({ request, gone }: Entry): boolean {
  if (gone !== null || focused.value === request.request_id) return true;
  const wanted = words.value.trim();
  if (wanted !== "" && !matches(request, wanted)) return false;
  if (urgency.value !== "" && request.urgency !== urgency.value) return false;
  const name = responder.value;
  return name === null || name === "" || request.responder_id.toLowerCase() === name.toLowerCase();
}

/** Whose requests somebody looks at who sees them all. */
function ResponderFilter() {
  const own = person.value?.handle ?? "";
  const names = [...new Set([own, ...waiting.value.map((request) => request.responder_id), ...(responder.value ? [responder.value] : [])])];
  return (
    <label class="filter">
      <span class="unseen">{t("queue.for")}</span>
      <select value={responder.value ?? ""} onChange={(event) => (responder.value = event.currentTarget.value)}>
        <option value="">{t("queue.everybody")}</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {name === own ? t("queue.me", { name }) : name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Filters() {
  const seesAll = isCoordinator.value || isReader.value;
  const isActive = words.value !== "" || urgency.value !== "";
  if (waiting.value.length < SEARCHED_FROM && !isActive && !seesAll) return null;
  return (
    <div class="filters" role="search" aria-label={t("queue.filter")}>
      <label class="filter search">
        <Icon name="search" />
        <span class="unseen">{t("search")}</span>
        <input type="search" id="search" placeholder={t("search")} value={words.value} onInput={(event) => (words.value = event.currentTarget.value)} />
      </label>
      <label class="filter">
        <span class="unseen">{t("queue.urgency")}</span>
        <select value={urgency.value} onChange={(event) => (urgency.value = event.currentTarget.value)}>
          <option value="">{t("queue.all_urgencies")}</option>
          {URGENCIES.map((one) => (
            <option key={one} value={one}>
              {word("urgency", one)}
            </option>
          ))}
        </select>
      </label>
      {seesAll && <ResponderFilter />}
    </div>
  );
}

function Empty() {
  const isFiltered = waiting.value.length > 0;
  return (
    <div class="empty">
      <Icon name={isFiltered ? "search" : "check"} />
      <p class="empty-title">{t(isFiltered ? "queue.no_match" : "queue.empty")}</p>
      {!isFiltered && <p class="muted">{t("queue.empty_hint")}</p>}
    </div>
  );
}

function Skeleton() {
  return (
    <div class="skeletons" aria-hidden="true">
      <div class="skeleton" />
      <div class="skeleton" />
    </div>
  );
}

export function QueueView() {
  useEffect(() => {
    if (responder.peek() === null && openName.peek() === null && (isCoordinator.peek() || isReader.peek())) responder.value = wantedResponder();
  }, []);
  const wanted = sorted.value.filter(isWanted);
  const drawn = wanted.filter((entry, index) => index < shown.value || focused.value === entry.request.request_id || isBegun(entry.request.request_id));
  const rest = wanted.length - drawn.length;
  const open = wanted.filter((entry) => entry.gone === null).length;
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>{t("queue.title")}</h1>
        {loaded.value && <p class="muted">{tn("queue.waiting", waiting.value.length)}</p>}
      </div>
      {loadFailure.value !== null && (
        <ErrorNote failure={loadFailure.value}>
          <button type="button" class="small" onClick={() => void reload()}>
            {t("retry")}
          </button>
        </ErrorNote>
      )}
      {loaded.value && <Filters />}
      {!loaded.value && loadFailure.value === null && <Skeleton />}
      {loaded.value && open === 0 && <Empty />}
      <div class="cards">
        {drawn.map(({ request, gone }) =>
          gone === null ? <Card key={request.request_id} request={request} /> : <GoneLine key={`gone ${request.request_id}`} request={request} gone={gone} />,
        )}
      </div>
      {rest > 0 && (
        <button type="button" class="wide" onClick={() => (shown.value += STEP)}>
          {tn("more", rest)}
        </button>
      )}
      {isCut.value && <p class="muted">{t("queue.cut")}</p>}
    </>
  );
}
