/** What went wrong with an answer, at its card. */

import { ErrorNote } from "../../components/error_note.tsx";
import { t } from "../../i18n/texts.ts";
import type { Failure } from "../../lib/failure.ts";
import { visible } from "../../lib/visible.ts";

interface Props {
  failure: Failure | null;
  /** Faults that are said at their own fields. */
  placed?: ReadonlySet<string>;
}

export function AnswerNote({ failure, placed }: Props) {
  if (failure === null) return null;
  const faults = failure.faults.filter((fault) => placed?.has(fault.path) !== true);
  return (
    <ErrorNote failure={failure}>
      {faults.map((fault, index) => (
        <p class="small" key={index}>
          {fault.path !== "" && <span class="mono">{visible(fault.path)}: </span>}
          {visible(fault.message)}
        </p>
      ))}
      <p>{t("answer.kept")}</p>
    </ErrorNote>
  );
}
