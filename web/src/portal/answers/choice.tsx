/** Picking one of the options, or several. */

import { useId, useState } from "preact/hooks";

import { t } from "../../i18n/texts.ts";
import { visible } from "../../lib/visible.ts";
import { change, draftOf } from "../drafts.ts";
import type { CoordinationRequest, ResponseOption } from "../types.ts";
import { AnswerNote } from "./note.tsx";
import { RejectButton } from "./reject.tsx";
import { useSending } from "./sending.ts";

interface Props {
  request: CoordinationRequest;
  options: readonly ResponseOption[];
  isMultiple: boolean;
  mayReject: boolean;
}

export function ChoiceAnswer({ request, options, isMultiple, mayReject }: Props) {
  const id = request.request_id;
  const { chosen } = draftOf(id).value;
  const sending = useSending(request);
  const { isBusy, failure, send } = sending;
  const [isMissing, setMissing] = useState(false);
  const name = useId();
  const pick = (key: string, isIn: boolean): void => {
    setMissing(false);
    const others = isMultiple ? chosen.filter((other) => other !== key) : [];
    change(id, { chosen: isIn ? [...others, key] : others });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (chosen.length === 0) {
      setMissing(true);
      document.getElementById(`${name}-0`)?.focus();
      return;
    }
    const inOrder = options.map((option) => option.key).filter((key) => chosen.includes(key));
    void send({ choice: isMultiple ? inOrder : inOrder[0] });
  };
  return (
    <form class="answer" noValidate onSubmit={submit}>
      <fieldset class="options" aria-describedby={isMissing ? `${name}-fault` : undefined}>
        <legend>{t(isMultiple ? "answer.choose_some" : "answer.choose")}</legend>
        {options.map((option, index) => (
          <div class="option" key={option.key}>
            <input
              type={isMultiple ? "checkbox" : "radio"}
              id={`${name}-${index}`}
              name={name}
              checked={chosen.includes(option.key)}
              aria-invalid={isMissing ? "true" : undefined}
              aria-describedby={option.description === undefined ? undefined : `${name}-${index}-hint`}
              onChange={(event) => pick(option.key, event.currentTarget.checked)}
            />
            <div>
              <label for={`${name}-${index}`}>{visible(option.label)}</label>
              {option.description !== undefined && (
                <p class="hint" id={`${name}-${index}-hint`}>
                  {visible(option.description)}
                </p>
              )}
            </div>
          </div>
        ))}
      </fieldset>
      {isMissing && (
        <p class="fault" id={`${name}-fault`} role="alert">
          {t("fault.choose")}
        </p>
      )}
      <AnswerNote failure={failure} />
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {t("answer.submit")}
        </button>
        {mayReject && <RejectButton {...sending} />}
      </div>
    </form>
  );
}
