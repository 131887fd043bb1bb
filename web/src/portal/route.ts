/** Which part of the portal the address means. */

import { signal } from "@preact/signals";

import { base } from "../lib/page.ts";

export type View = "queue" | "history" | "login";

const PATHS: Readonly<Record<View, string>> = { queue: "/portal/", history: "/portal/history", login: "/portal/login" };

function viewOf(path: string): View {
  const within = path.startsWith(base) ? path.slice(base.length) : path;
  return within === PATHS.history ? "history" : within === PATHS.login ? "login" : "queue";
}

export const view = signal<View>(viewOf(location.pathname));

/** The request that the address names. */
export const focused = signal<string | null>(new URLSearchParams(location.search).get("request_id"));

/** The address of a view, keeping whose queue it is. */
export function addressOf(target: View, request: string | null = null): string {
  const query = new URLSearchParams(location.search);
  query.delete("code");
  query.delete("request_id");
  if (request !== null) query.set("request_id", request);
  const text = query.toString();
  return base + PATHS[target] + (text === "" ? "" : `?${text}`);
}

/** Goes to a view. */
export function goTo(target: View, request: string | null = null): void {
  history.pushState(null, "", addressOf(target, request));
  follow();
}

/** The same without a way back to where this was. */
export function replaceWith(target: View, request: string | null = null): void {
  history.replaceState(null, "", addressOf(target, request));
  follow();
}

function follow(): void {
  view.value = viewOf(location.pathname);
  focused.value = new URLSearchParams(location.search).get("request_id");
}

export function followHistory(): void {
  window.addEventListener("popstate", follow);
}

/** A one-time code, taken out of the address so that it stays nowhere. */
export function takeCode(): string | null {
  const code = new URLSearchParams(location.search).get("code");
  if (code !== null) history.replaceState(null, "", addressOf("login", focused.peek()));
  return code === "" ? null : code;
}
