/** Times and spans in the page's language. */

import { parts } from "../lib/duration.ts";
import { language, t, tn } from "./texts.ts";

/** A span, such as "4 min 32 s". */
export function span(seconds: number): string {
  return parts(seconds)
    .map(([unit, count]) => tn(`span.${unit}`, count))
    .join(" ");
}

/** A moment in full. */
export function moment(time: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** How long ago a moment is, such as "3 minutes ago". */
export function ago(time: number, now: number): string {
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: "auto" });
  const seconds = Math.round((time - now) / 1000);
  const steps = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const;
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return t("time.now");
}
