/** Keys for everything that is done often. They can be switched off, and mean nothing in fields. */

import { signal } from "@preact/signals";

import { Dialog } from "../components/dialog.tsx";
import { t, type Key } from "../i18n/texts.ts";
import { stored } from "../lib/stored.ts";
import { goTo } from "./route.ts";

export const keysOn = stored<"off" | "on">("keys", ["off", "on"], "on");
export const isHelpOpen = signal(false);

/** What each key does, for the help. */
const HELP: readonly (readonly [string, Key])[] = [
  ["J", "keys.next"],
  ["K", "keys.previous"],
  ["Enter", "keys.enter"],
  ["/", "keys.search"],
  ["G Q", "keys.queue"],
  ["G H", "keys.history"],
  ["Ctrl Enter", "keys.send"],
  ["?", "keys.help"],
];

function headings(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("article h2")];
}

/** Moves to the next or previous request. */
function move(by: 1 | -1): void {
  const all = headings();
  const here = all.findIndex((heading) => heading.closest("article")?.contains(document.activeElement));
  const target = here < 0 ? all[by > 0 ? 0 : all.length - 1] : all[here + by];
  if (target === undefined) return;
  target.tabIndex = -1;
  target.focus();
  target.closest("article")?.scrollIntoView({ block: "nearest" });
}

/** From a request's heading into its controls. */
function enter(): boolean {
  const article = document.activeElement?.matches("article h2") === true ? document.activeElement.closest("article") : null;
  const control = article?.querySelector<HTMLElement>(".answer input, .answer textarea, .answer select, .answer button");
  control?.focus();
  return control != null;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.matches("input, textarea, select") || target.closest("dialog, [popover]") !== null);
}

/** A key that waits for a second one, and until when. */
let prefix: { key: string; until: number } | null = null;
const TOGETHER_MS = 1_500;

function act(key: string): boolean {
  const isGoing = prefix?.key === "g" && prefix.until > Date.now();
  prefix = null;
  if (isGoing && (key === "q" || key === "h")) {
    goTo(key === "q" ? "queue" : "history");
    return true;
  }
  switch (key) {
    case "g":
      prefix = { key, until: Date.now() + TOGETHER_MS };
      return true;
    case "j":
      move(1);
      return true;
    case "k":
      move(-1);
      return true;
    case "Enter":
      return enter();
    case "/":
      document.getElementById("search")?.focus();
      return document.getElementById("search") !== null;
    case "?":
      isHelpOpen.value = true;
      return true;
    default:
      return false;
  }
}

export function listenToKeys(): void {
  document.addEventListener("keydown", (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.defaultPrevented;
    if (!isPlain || keysOn.peek() === "off" || isTyping(event.target) || isHelpOpen.peek()) return;
    if (act(event.key)) event.preventDefault();
  });
}

export function KeysHelp() {
  if (!isHelpOpen.value) return null;
  const close = (): void => {
    isHelpOpen.value = false;
  };
  return (
    <Dialog title={t("keys.title")} onClose={close}>
      <dl class="keys-list">
        {HELP.map(([keys, text]) => (
          <div key={text}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
      <div class="row">
        <button type="button" onClick={close}>
          {t("close")}
        </button>
      </div>
    </Dialog>
  );
}
