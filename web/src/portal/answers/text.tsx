/** Answering in one's own words. */

import { useId, useState } from "preact/hooks";

import { t } from "../../i18n/texts.ts";
import { change, draftOf } from "../drafts.ts";
import type { CoordinationRequest } from "../types.ts";
import { AnswerNote } from "./note.tsx";
import { useSending } from "./sending.ts";

/** Whether a key press sends: with Ctrl or Cmd, and not while an input method composes. */
export function sends(event: KeyboardEvent): boolean {
  return event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
}

export function TextAnswer({ request }: { request: CoordinationRequest }) {
  const id = request.request_id;
  const { text } = draftOf(id).value;
  const { isBusy, failure, send } = useSending(request);
  const [isMissing, setMissing] = useState(false);
  const field = useId();
  const submit = (): void => {
    if (text.trim() === "") {
      setMissing(true);
      document.getElementById(field)?.focus();
      return;
    }
    void send({ text: text.trim() });
  };
  return (
    <form
      class="answer"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div class="field">
        <label for={field}>{t("answer.text")}</label>
        <textarea
          id={field}
          class="grows"
          rows={3}
          value={text}
          aria-required="true"
          aria-invalid={isMissing ? "true" : undefined}
          aria-describedby={isMissing ? `${field}-fault` : undefined}
          onInput={(event) => {
            setMissing(false);
            change(id, { text: event.currentTarget.value });
          }}
          onKeyDown={(event) => {
            if (sends(event)) submit();
          }}
        />
        {isMissing && (
          <p class="fault" id={`${field}-fault`} role="alert">
            {t("fault.required")}
          </p>
        )}
      </div>
      <AnswerNote failure={failure} />
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {t("answer.send")}
        </button>
        <span class="hint keys">{t("answer.send_key")}</span>
      </div>
    </form>
  );
}
