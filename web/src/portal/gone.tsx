/** The line that a request leaves behind: what became of it, and what this person had typed. */

import { useEffect } from "preact/hooks";

import { Icon } from "../components/icon.tsx";
import { t } from "../i18n/texts.ts";
import { dismiss, type Gone } from "./queue.ts";
import type { CoordinationRequest } from "./types.ts";
import { reason, title } from "./words.ts";

/** One's own answers need no more than a glance. */
const OWN_MS = 12_000;

export function GoneLine({ request, gone }: { request: CoordinationRequest; gone: Gone }) {
  const id = request.request_id;
  useEffect(() => {
    if (!gone.isOwn) return undefined;
    const timer = setTimeout(() => dismiss(id), OWN_MS);
    return () => clearTimeout(timer);
  }, [gone]);
  return (
    <div class={gone.isOwn ? "gone own" : "gone"}>
      <Icon name={gone.isOwn ? "check" : "history"} />
      <div class="gone-text">
        <p>
          <span class="gone-title">{title(request)}</span> {reason(request, gone)}
        </p>
        {gone.typed !== null && (
          <details>
            <summary>{t("gone.typed")}</summary>
            <pre class="code" tabIndex={0}>
              {gone.typed}
            </pre>
          </details>
        )}
      </div>
      <button type="button" class="quiet icon-only" aria-label={t("dismiss")} onClick={() => dismiss(id)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
