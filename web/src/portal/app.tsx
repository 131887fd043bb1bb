/** The portal as a whole: who is in, which view, and what is said when something happens. */

import { effect, untracked } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { StatusRegion } from "../components/status.tsx";
import { t, tn, word } from "../i18n/texts.ts";
import { announce } from "../lib/announce.ts";
import { asFailure } from "../lib/failure.ts";
import { forgetAll } from "./drafts.ts";
import { headingId } from "./card.tsx";
import { Header } from "./header.tsx";
import * as history from "./history.ts";
import { HistoryView } from "./history_view.tsx";
import { KeysHelp } from "./keys.tsx";
import { startLive, stopLive } from "./live.ts";
import { Login } from "./login.tsx";
import { notify } from "./notify.ts";
import { PasswordDialog, PasswordOffer } from "./password.tsx";
import * as queue from "./queue.ts";
import { QueueView, resetFilters } from "./queue_view.tsx";
import { focused, replaceWith, takeCode, view } from "./route.ts";
import { access, findOut, leave, person } from "./session.ts";
import { reason, title } from "./words.ts";

/** Forgets what one person saw before another comes. */
function forgetPerson(): void {
  stopLive();
  queue.reset();
  history.reset();
  resetFilters();
  forgetAll();
}

/** After an answer the focus goes to the next request, not to nowhere. */
function focusAfter(id: string): void {
  const waiting = queue.sorted.peek();
  const here = waiting.findIndex((entry) => entry.request.request_id === id);
  const next = [...waiting.slice(here + 1), ...waiting.slice(0, Math.max(0, here)).reverse()].find((entry) => entry.gone === null);
  requestAnimationFrame(() => {
    // Only if it went with the card.
    if (document.activeElement !== null && document.activeElement !== document.body) return;
    const target = next === undefined ? document.querySelector<HTMLElement>("h1") : document.getElementById(headingId(next.request));
    target?.focus({ preventScroll: true });
  });
}

queue.watch({
  arrived(requests) {
    const [first] = requests;
    announce(requests.length === 1 && first !== undefined ? t("arrived.this", { urgency: word("urgency", first.urgency), intent: word("intent", first.intent), agent: first.agent_id }) : tn("arrived", requests.length));
    notify(requests);
  },
  left(request, gone) {
    announce(`${title(request)}: ${reason(request, gone)}`);
    focusAfter(request.request_id);
  },
});

function Signed() {
  const live = useMemo(startLive, []);
  useEffect(() => {
    // A session that ended leaves the page as it is, for when its person comes back.
    const stop = effect(() => {
      const state = live.value;
      untracked(() => {
        if (state === "lost") announce(t("live.lost"));
      });
    });
    return () => {
      stop();
      stopLive();
    };
  }, []);
  const wanted = focused.value;
  useEffect(() => {
    if (wanted === null) return;
    queue.show(wanted).catch((error: unknown) => {
      const { status } = asFailure(error);
      if (status === 404 || status === 403) announce(t("queue.not_found"));
    });
  }, [wanted]);
  const logOut = (): void => {
    leave().then(
      () => {
        forgetPerson();
        replaceWith("login");
      },
      () => announce(t("logout.failed")),
    );
  };
  return (
    <>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <Header live={live} onLogOut={logOut} />
      {live.value === "lost" && <p class="banner">{t("live.banner")}</p>}
      <main id="main">
        <PasswordOffer />
        {view.value === "history" ? <HistoryView /> : <QueueView />}
      </main>
      <KeysHelp />
      <PasswordDialog />
    </>
  );
}

export function App() {
  const [code, setCode] = useState(takeCode);
  const [lastPerson, setLastPerson] = useState<string | null>(null);
  const current = access.value;
  const here = view.value;
  useEffect(() => {
    if (current !== "in") return;
    const own = person.peek()?.id ?? null;
    if (lastPerson !== null && lastPerson !== own) forgetPerson();
    setLastPerson(own);
    if (code === null && view.peek() === "login") replaceWith("queue", focused.peek());
  }, [current]);
  const before = useRef(here);
  useEffect(() => {
    // A new page begins at its heading; the first one where the browser puts it.
    if (before.current === here) return;
    before.current = here;
    // Whoever follows a link to a request begins there.
    if (here === "queue" && focused.peek() !== null) return;
    window.scrollTo(0, 0);
    document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [here]);
  useEffect(() => {
    // With a link it is known once that has been tried.
    if (code === null) void findOut();
  }, []);
  const arrive = (): void => {
    setCode(null);
    replaceWith("queue", focused.peek());
  };
  const isIn = current === "in" && code === null;
  return (
    <>
      <StatusRegion />
      {current === "asking" && code === null && <main id="main" class="waiting" aria-busy="true" />}
      {isIn && <Signed />}
      {!isIn && (current !== "asking" || code !== null) && <Login code={code} onIn={arrive} />}
    </>
  );
}
