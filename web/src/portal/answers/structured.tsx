/** Filling in the form that the request's JSON Schema describes. */

import { useMemo, useRef, useState } from "preact/hooks";

import { faultText, SchemaFields } from "../../components/schema_form.tsx";
import { t } from "../../i18n/texts.ts";
import { fill, type Held, nearest, pointerOf } from "../../lib/form.ts";
import type { Failure } from "../../lib/failure.ts";
import { type Field, fieldsOf } from "../../lib/schema.ts";
import { visible } from "../../lib/visible.ts";
import { change, draftOf } from "../drafts.ts";
import type { CoordinationRequest } from "../types.ts";
import { AnswerNote } from "./note.tsx";
import { RejectButton } from "./reject.tsx";
import { useSending } from "./sending.ts";

interface Props {
  request: CoordinationRequest;
  schema: unknown;
  mayReject: boolean;
}

function pointersOf(fields: readonly Field[]): string[] {
  return fields.flatMap((field) => (field.ask.kind === "group" ? pointersOf(field.ask.fields) : [field.pointer]));
}

/** The faults that the hub found, at the fields that they concern. */
function placed(failure: Failure | null, fields: readonly Field[]): { texts: Map<string, string>; paths: Set<string> } {
  const [texts, paths] = [new Map<string, string>(), new Set<string>()];
  const pointers = pointersOf(fields);
  for (const fault of failure?.faults ?? []) {
    const at = nearest(pointers, pointerOf(fault.path));
    if (at === null) continue;
    texts.set(at, visible(fault.message));
    paths.add(fault.path);
  }
  return { texts, paths };
}

export function StructuredAnswer({ request, schema, mayReject }: Props) {
  const id = request.request_id;
  const { entries } = draftOf(id).value;
  const sending = useSending(request);
  const { isBusy, failure, send } = sending;
  const fields = useMemo(() => fieldsOf(schema), [id]);
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map());
  const form = useRef<HTMLFormElement>(null);
  const hub = placed(failure, fields);
  const enter = (pointer: string, held: Held): void => {
    change(id, { entries: new Map(entries).set(pointer, held) });
    if (faults.has(pointer)) setFaults(new Map([...faults].filter(([other]) => other !== pointer)));
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const filled = fill(fields, entries);
    setFaults(new Map([...filled.faults].map(([pointer, fault]) => [pointer, faultText(fault)])));
    if (filled.faults.size === 0) {
      void send(filled.answer);
      return;
    }
    // Once the fields are marked.
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
  };
  return (
    <form class="answer" noValidate onSubmit={submit} ref={form}>
      <SchemaFields fields={fields} entries={entries} faults={new Map([...hub.texts, ...faults])} onEntry={enter} />
      <AnswerNote failure={failure} placed={hub.paths} />
      {faults.size > 0 && (
        <p class="fault" role="alert">
          {t("fault.form")}
        </p>
      )}
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {t("answer.submit")}
        </button>
        {mayReject && <RejectButton {...sending} />}
      </div>
    </form>
  );
}
