/** Desktop notifications of new requests, if the person wants them and does not look. */

import { effect, signal } from "@preact/signals";

import { t, tn, word } from "../i18n/texts.ts";
import { base } from "../lib/page.ts";
import { stored } from "../lib/stored.ts";
import { shortened } from "../lib/visible.ts";
import { waiting } from "./queue.ts";
import { goTo, view } from "./route.ts";
import { access } from "./session.ts";
import type { CoordinationRequest } from "./types.ts";

export const wanted = stored<"off" | "on">("notifications", ["off", "on"], "off");
export const isPossible = "Notification" in window;

const permission = signal(isPossible ? Notification.permission : "denied");

export const isBlocked = (): boolean => permission.value === "denied";

/** Asks the browser when they are switched on. */
export async function toggle(): Promise<void> {
  if (wanted.peek() === "on") {
    wanted.value = "off";
    return;
  }
  if (isPossible) permission.value = await Notification.requestPermission();
  if (permission.peek() === "granted") wanted.value = "on";
}

export function notify(requests: readonly CoordinationRequest[]): void {
  const [first] = requests;
  if (first === undefined || wanted.peek() === "off" || !document.hidden || permission.peek() !== "granted") return;
  const title = requests.length === 1 ? `${word("urgency", first.urgency)} · ${word("intent", first.intent)}` : tn("arrived", requests.length);
  const note = new Notification(title, {
    body: shortened(first.context_package.summary, 120),
    tag: requests.length === 1 ? first.request_id : "requests",
    icon: `${base}/portal/a/icon.svg`,
  });
  note.onclick = () => {
    window.focus();
    goTo("queue", first.request_id);
    note.close();
  };
}

/** Keeps the number of waiting requests in the title. */
export function countInTitle(): void {
  effect(() => {
    const count = waiting.value.length;
    const shown = access.value === "in" ? view.value : "login";
    document.title = `${count > 0 && shown !== "login" ? `(${count}) ` : ""}${t(`title.${shown}`)} · HXA Connect`;
  });
}
