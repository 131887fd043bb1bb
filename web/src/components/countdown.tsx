/** How long there is until a moment. Only this text is drawn again each second. */

import { span } from "../i18n/times.ts";
import { moment } from "../i18n/times.ts";
import { t } from "../i18n/texts.ts";
import { now } from "../lib/clock.ts";
import { Icon } from "./icon.tsx";

/** Below it the countdown is hard to overlook. */
const SOON_S = 60;

export function Countdown({ until }: { until: number }) {
  const left = Math.ceil((until - now.value) / 1000);
  return (
    <span class={left < SOON_S ? "countdown soon" : "countdown"} title={moment(until)}>
      <Icon name="clock" />
      <span role="timer">{left > 0 ? t("countdown.left", { span: span(left) }) : t("countdown.over")}</span>
    </span>
  );
}
