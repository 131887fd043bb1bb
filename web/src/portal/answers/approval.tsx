/** Approving or rejecting, with a comment, and with changes to the proposal where the agent allows them. */

import { useId, useMemo, useRef, useState } from "preact/hooks";

import { Icon } from "../../components/icon.tsx";
import { faultText, SchemaFields } from "../../components/schema_form.tsx";
import { t } from "../../i18n/texts.ts";
import { fill } from "../../lib/form.ts";
import { type Field, fieldsOf } from "../../lib/schema.ts";
import { change, draftOf } from "../drafts.ts";
import type { Proposal } from "../mode.ts";
import type { CoordinationRequest } from "../types.ts";
import { AnswerNote } from "./note.tsx";
import { useSending } from "./sending.ts";

interface Props {
  request: CoordinationRequest;
  proposal: Proposal | null;
}

/** A proposal that is edited in fields. */
function FormEditor({ id, fields, faults }: { id: string; fields: readonly Field[]; faults: ReadonlyMap<string, string> }) {
  const { entries } = draftOf(id).value;
  return (
    <fieldset class="group">
      <legend>{t("answer.proposal")}</legend>
      <SchemaFields fields={fields} entries={entries} faults={faults} onEntry={(pointer, held) => change(id, { entries: new Map(entries).set(pointer, held) })} />
    </fieldset>
  );
}

/** A proposal that is edited as text. */
function TextEditor({ id, text }: { id: string; text: string }) {
  const field = useId();
  return (
    <div class="field">
      <label for={field}>{t("answer.proposal")}</label>
      <textarea id={field} rows={6} value={text} onInput={(event) => change(id, { edited: event.currentTarget.value })} />
    </div>
  );
}

export function ApprovalAnswer({ request, proposal }: Props) {
  const id = request.request_id;
  const draft = draftOf(id).value;
  const { isBusy, failure, send } = useSending(request);
  const comment = useId();
  const own = useRef<HTMLDivElement>(null);
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map());
  const fields = useMemo(() => (proposal?.kind === "form" ? fieldsOf(proposal.schema, proposal.given) : []), [id]);
  const isEditing = proposal !== null && draft.edited !== null;
  const isChanged = isEditing && (proposal.kind === "form" ? draft.entries.size > 0 : draft.edited !== proposal.text);
  const decide = (decision: "approved" | "rejected"): void => {
    const data: Record<string, unknown> = { decision };
    if (draft.text.trim() !== "") data["comment"] = draft.text.trim();
    if (decision === "approved" && isChanged) {
      const filled = fill(fields, draft.entries);
      const isForm = proposal.kind === "form";
      setFaults(new Map(isForm ? [...filled.faults].map(([pointer, fault]) => [pointer, faultText(fault)]) : []));
      if (isForm && filled.faults.size > 0) {
        requestAnimationFrame(() => own.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
        return;
      }
      data["edited"] = isForm ? filled.answer : draft.edited;
    }
    void send(data);
  };
  const stopEditing = (): void => {
    setFaults(new Map());
    change(id, { edited: null, entries: new Map() });
  };
  return (
    <div class="answer" ref={own}>
      {proposal !== null && !isEditing && (
        <button type="button" class="quiet small start" onClick={() => change(id, { edited: proposal.kind === "text" ? proposal.text : "" })}>
          <Icon name="edit" />
          {t("answer.edit")}
        </button>
      )}
      {isEditing && (
        <>
          {proposal.kind === "form" ? <FormEditor id={id} fields={fields} faults={faults} /> : <TextEditor id={id} text={draft.edited ?? ""} />}
          <button type="button" class="quiet small start" onClick={stopEditing}>
            {t("answer.unedit")}
          </button>
        </>
      )}
      <div class="field">
        <label for={comment}>
          {t("answer.comment")}
          <span class="optional" aria-hidden="true">
            {t("form.optional")}
          </span>
        </label>
        <textarea id={comment} class="grows" rows={1} value={draft.text} onInput={(event) => change(id, { text: event.currentTarget.value })} />
      </div>
      <AnswerNote failure={failure} />
      <div class="row decisions">
        <button type="button" class="primary" disabled={isBusy} onClick={() => decide("approved")}>
          <Icon name="check" />
          {t(isChanged ? "answer.approve_edited" : "answer.approve")}
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => decide("rejected")}>
          <Icon name="close" />
          {t("answer.reject")}
        </button>
      </div>
    </div>
  );
}
