/** The bar over every page: where one is, whether the page is live, and the person's own menu. */

import type { Signal } from "@preact/signals";

import { Icon } from "../components/icon.tsx";
import { Name } from "../components/text.tsx";
import { LANGUAGES, language, t, tn, type Language } from "../i18n/texts.ts";
import type { LiveState } from "../lib/live.ts";
import { theme, THEMES, type Theme } from "../lib/theme.ts";
import { isHelpOpen, keysOn } from "./keys.tsx";
import { isBlocked, isPossible, toggle, wanted } from "./notify.ts";
import { isPasswordOpen } from "./password.tsx";
import { waiting } from "./queue.ts";
import { addressOf, goTo, view, type View } from "./route.ts";
import { openName, person } from "./session.ts";

export function Brand() {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
        <rect width="32" height="32" rx="8" />
        <path d="M10 9v14M22 9v14M10 16h12" />
        <circle cx="16" cy="16" r="3" />
      </svg>
      <span>HXA Connect</span>
    </span>
  );
}

/** Choices of how the page looks, for those who are logged in and those who are not. */
export function Appearance() {
  return (
    <>
      <label class="choice">
        {t("prefs.language")}
        <select value={language.value} onChange={(event) => (language.value = event.currentTarget.value as Language)}>
          {LANGUAGES.map((one) => (
            <option key={one} value={one} lang={one}>
              {one === "zh" ? "中文" : "English"}
            </option>
          ))}
        </select>
      </label>
      <label class="choice">
        {t("prefs.theme")}
        <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
          {THEMES.map((one) => (
            <option key={one} value={one}>
              {t(`theme.${one}`)}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}

function ViewLink({ target, icon }: { target: View; icon: "inbox" | "history" }) {
  const count = waiting.value.length;
  return (
    <a
      href={addressOf(target)}
      aria-current={view.value === target ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        goTo(target);
      }}
    >
      <Icon name={icon} />
      <span>{t(`title.${target}`)}</span>
      {target === "queue" && count > 0 && (
        <span class="count">
          {count}
          <span class="unseen"> {tn("queue.unit", count)}</span>
        </span>
      )}
    </a>
  );
}

function Live({ state }: { state: Signal<LiveState> }) {
  return (
    <span class="live" data-state={state.value}>
      <span class="live-dot" aria-hidden="true" />
      {t(`live.${state.value}`)}
    </span>
  );
}

function Menu({ onLogOut }: { onLogOut: () => void }) {
  const close = (): void => document.getElementById("account")?.hidePopover();
  return (
    <div id="account" class="menu" popover="auto">
      <p class="menu-who">
        <span>{person.value?.display_name}</span>
        <span class="muted small">{person.value?.role !== undefined && t(`role.${roleKey(person.value.role)}`)}</span>
      </p>
      <Appearance />
      {isPossible && (
        <label class="check">
          <input type="checkbox" checked={wanted.value === "on"} disabled={isBlocked()} onChange={() => void toggle()} />
          <span>{t(isBlocked() ? "prefs.notifications_blocked" : "prefs.notifications")}</span>
        </label>
      )}
      <label class="check">
        <input type="checkbox" checked={keysOn.value === "on"} onChange={() => (keysOn.value = keysOn.value === "on" ? "off" : "on")} />
        <span>{t("prefs.keys")}</span>
      </label>
      <div class="menu-actions">
        <button
          type="button"
          class="quiet"
          onClick={() => {
            close();
            isHelpOpen.value = true;
          }}
        >
          <Icon name="keyboard" />
          {t("keys.title")}
        </button>
        {openName.value === null && (
          <>
            <button
              type="button"
              class="quiet"
              onClick={() => {
                close();
                isPasswordOpen.value = true;
              }}
            >
              <Icon name="edit" />
              {t("password.title")}
            </button>
            <button type="button" class="quiet" onClick={onLogOut}>
              <Icon name="user" />
              {t("logout")}
            </button>
          </>
        )}
      </div>
    </div>
  );
}

function roleKey(role: string): "admin" | "coordinator" | "responder" | "auditor" | "viewer" {
  return role === "admin" || role === "coordinator" || role === "auditor" || role === "viewer" ? role : "responder";
}

export function Header({ live, onLogOut }: { live: Signal<LiveState>; onLogOut: () => void }) {
  const handle = person.value?.handle ?? "";
  return (
    <header class="bar">
      <div class="bar-inner">
        <Brand />
        <nav aria-label={t("nav")}>
          <ViewLink target="queue" icon="inbox" />
          <ViewLink target="history" icon="history" />
        </nav>
        <Live state={live} />
        <button type="button" class="account" popovertarget="account">
          <span class="avatar" aria-hidden="true">
            {Array.from(person.value?.display_name || handle)[0]?.toUpperCase()}
          </span>
          <span class="unseen">{t("account")} </span>
          <Name>{handle}</Name>
          <Icon name="chevron" />
        </button>
        <Menu onLogOut={onLogOut} />
      </div>
    </header>
  );
}
