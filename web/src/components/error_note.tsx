/** A refusal or a failure in words: ours for what is known, the hub's own sentence, and what to do. */

import type { ComponentChildren } from "preact";

import { t, word } from "../i18n/texts.ts";
import type { Failure } from "../lib/failure.ts";
import { visible } from "../lib/visible.ts";
import { Icon } from "./icon.tsx";

/** What kind of failure it is, in the page's language. */
export function sentence(failure: Failure): string {
  if (failure.status === 0) return t("failure.unreachable");
  if (failure.status === 429) return t("failure.busy", { seconds: Math.ceil(failure.retryAfter ?? 1) });
  if (failure.status >= 500) return t("failure.server");
  const known = failure.code === null ? "" : word("failure.code", failure.code);
  return known === "" || known === failure.code ? t("failure.refused") : known;
}

interface Props {
  failure: Failure;
  children?: ComponentChildren;
}

export function ErrorNote({ failure, children }: Props) {
  return (
    <div class="note danger" role="alert">
      <Icon name="alert" />
      <div>
        <p>{sentence(failure)}</p>
        {failure.status !== 0 && (
          <p class="small muted">
            {visible(failure.message)}
            {failure.requestId !== null && <span class="mono"> ({failure.requestId})</span>}
          </p>
        )}
        {children}
      </div>
    </div>
  );
}
