/** What the portal says of a request, in the page's language. */

import { t, word } from "../i18n/texts.ts";
import { shortened, visible } from "../lib/visible.ts";
import { type Outcome, saidIn } from "./outcome.ts";
import type { Gone } from "./queue.ts";
import type { CoordinationRequest } from "./types.ts";

/** As much of a summary as a sentence bears. */
const SHORT = 90;

export function title(request: CoordinationRequest): string {
  return shortened(request.context_package.summary, SHORT);
}

/** What was answered, in short. */
export function said(request: CoordinationRequest): string {
  const what = saidIn(request);
  if (what.kind === "none") return t("said.something");
  return what.kind === "text" ? shortened(what.text, SHORT) : t(`said.${what.kind}`);
}

/** Who answered, as people call it. */
export function who(responder: string): string {
  const name = shortened(responder, 64);
  if (responder.startsWith("system:")) return t("who.system");
  return name === "" ? t("who.unknown") : name;
}

/** Why a request has left the queue. */
export function reason(request: CoordinationRequest, { outcome, isOwn }: Gone): string {
  if (isOwn) return own(request, outcome);
  switch (outcome.kind) {
    case "answered":
      return outcome.isAutomatic ? t("gone.automatic", { said: said(request) }) : t("gone.answered", { who: who(outcome.who), said: said(request) });
    case "cancelled":
      return t("gone.cancelled");
    case "timed_out":
      return t("gone.timed_out");
    default:
      return outcome.kind === "moved" && outcome.who !== null ? t("gone.moved", { who: who(outcome.who) }) : t("gone.moved_away");
  }
}

function own(request: CoordinationRequest, outcome: Outcome): string {
  if (outcome.kind === "cancelled") return t("own.cancelled");
  if (outcome.kind === "moved") return t("own.reassigned", { who: who(outcome.who ?? "") });
  const what = saidIn(request);
  if (what.kind === "approved" || what.kind === "rejected" || what.kind === "acknowledged") return t(`own.${what.kind}`);
  return t("own.answered");
}

/** What happens when nobody answers. */
export function fallback(request: CoordinationRequest): string {
  const { fallback: kind, escalation_responder_id: next, escalation } = request.timeout_policy;
  const target = escalation?.find((step) => step.responder_id !== request.responder_id)?.responder_id ?? next;
  if (kind === "ESCALATE" && target !== undefined && target !== request.responder_id) return t("fallback.ESCALATE", { who: visible(target) });
  if (kind === "AUTO_APPROVE" || kind === "AUTO_REJECT") return t(`fallback.${kind}`);
  return t("fallback.other");
}

/** The name of an event of the audit. */
export function happened(kind: string): string {
  return word("audit", kind);
}
