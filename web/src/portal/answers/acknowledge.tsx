/** Acknowledging a notification, with a word back if there is one. */

import { useId } from "preact/hooks";

import { t } from "../../i18n/texts.ts";
import { change, draftOf } from "../drafts.ts";
import type { CoordinationRequest } from "../types.ts";
import { AnswerNote } from "./note.tsx";
import { useSending } from "./sending.ts";

export function AcknowledgeAnswer({ request }: { request: CoordinationRequest }) {
  const id = request.request_id;
  const { text } = draftOf(id).value;
  const { isBusy, failure, send } = useSending(request);
  const field = useId();
  const submit = (event: Event): void => {
    event.preventDefault();
    void send(text.trim() === "" ? { acknowledged: true } : { acknowledged: true, text: text.trim() });
  };
  return (
    <form class="answer" noValidate onSubmit={submit}>
      <div class="field">
        <label for={field}>
          {t("answer.reply")}
          <span class="optional" aria-hidden="true">
            {t("form.optional")}
          </span>
        </label>
        <textarea id={field} class="grows" rows={1} value={text} onInput={(event) => change(id, { text: event.currentTarget.value })} />
      </div>
      <AnswerNote failure={failure} />
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {t("answer.acknowledge")}
        </button>
      </div>
    </form>
  );
}
