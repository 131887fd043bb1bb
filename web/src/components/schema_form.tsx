/** A form generated from a JSON Schema. What is wrong is said at the field, and the first such field gets the focus. */

import { useId } from "preact/hooks";

import { t, type Key } from "../i18n/texts.ts";
import type { Entries, FieldFault, Held } from "../lib/form.ts";
import type { Ask, Field } from "../lib/schema.ts";
import { visible } from "../lib/visible.ts";

interface FormProps {
  fields: readonly Field[];
  entries: Entries;
  /** What is wrong, in words, by pointer. */
  faults: ReadonlyMap<string, string>;
  onEntry: (pointer: string, held: Held) => void;
}

/** A fault in the page's language. */
export function faultText(fault: FieldFault): string {
  return t(`fault.${fault.key}` as Key, fault.limit === undefined ? {} : { limit: fault.limit });
}

export function SchemaFields(props: FormProps) {
  return (
    <>
      {props.fields.map((field) => (
        <SchemaField key={field.pointer} field={field} {...props} />
      ))}
    </>
  );
}

function SchemaField(props: FormProps & { field: Field }) {
  const { field } = props;
  const id = useId();
  if (field.ask.kind === "group") {
    return (
      <fieldset class="group">
        <legend>
          <Label field={field} />
        </legend>
        {field.description !== null && <p class="hint">{visible(field.description)}</p>}
        <SchemaFields {...props} fields={field.ask.fields} />
      </fieldset>
    );
  }
  const fault = props.faults.get(field.pointer);
  const held = props.entries.get(field.pointer) ?? field.initial;
  const described = [field.description !== null ? `${id}-hint` : "", fault !== undefined ? `${id}-fault` : ""].filter((one) => one !== "").join(" ");
  const common: Common = {
    id,
    "aria-describedby": described || undefined,
    "aria-invalid": fault !== undefined ? "true" : undefined,
    "aria-required": field.isRequired && field.ask.kind !== "boolean" ? "true" : undefined,
  };
  const enter = (next: Held): void => props.onEntry(field.pointer, next);
  const below = (
    <>
      {field.description !== null && (
        <p class="hint" id={`${id}-hint`}>
          {visible(field.description)}
        </p>
      )}
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
    </>
  );
  if (field.ask.kind === "boolean") {
    return (
      <div class="field">
        <label class="check">
          <input type="checkbox" {...common} checked={held === true} onChange={(event) => enter(event.currentTarget.checked)} />
          <span>{visible(field.title)}</span>
        </label>
        {below}
      </div>
    );
  }
  if (field.ask.kind === "many") {
    return (
      <fieldset class="field" aria-describedby={common["aria-describedby"]}>
        <legend>
          <Label field={field} />
        </legend>
        <Many ask={field.ask} held={held} enter={enter} isInvalid={fault !== undefined} />
        {below}
      </fieldset>
    );
  }
  return (
    <div class="field">
      <label for={id}>
        <Label field={field} />
      </label>
      <Control field={field} ask={field.ask} held={typeof held === "string" ? held : ""} common={common} enter={enter} />
      {below}
    </div>
  );
}

/** A field's title; that it may be left out is said beside it and is no part of its name. */
function Label({ field }: { field: Field }) {
  return (
    <>
      {visible(field.title)}
      {!field.isRequired && (
        <span class="optional" aria-hidden="true">
          {t("form.optional")}
        </span>
      )}
    </>
  );
}

interface Common {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": "true" | undefined;
  "aria-required": "true" | undefined;
}

interface ControlProps {
  field: Field;
  ask: Ask;
  held: string;
  common: Common;
  enter: (held: Held) => void;
}

/** The types of inputs tell controls of different roles apart; of these every one takes a text. */
function inputType(type: string): { type: "text" } {
  return { type } as { type: "text" };
}

function Control({ field, ask, held, common, enter }: ControlProps) {
  const type = (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }): void => enter(event.currentTarget.value);
  switch (ask.kind) {
    case "one":
      return (
        <select {...common} value={held} onChange={type}>
          <option value="" disabled={field.isRequired}>
            {t(field.isRequired ? "form.choose" : "form.none")}
          </option>
          {ask.choices.map((choice, index) => (
            <option key={index} value={String(index)}>
              {visible(choice.label)}
            </option>
          ))}
        </select>
      );
    case "number":
      return (
        <input
          type="number"
          inputMode={ask.isInteger ? "numeric" : "decimal"}
          step={ask.step ?? (ask.isInteger ? 1 : "any")}
          min={ask.min ?? undefined}
          max={ask.max ?? undefined}
          {...common}
          value={held}
          onInput={type}
        />
      );
    case "text":
      if (!ask.isLong) return <input {...inputType(ask.input)} autoComplete="off" {...common} value={held} onInput={type} />;
      return <textarea rows={3} {...common} value={held} onInput={type} />;
    case "lines":
      return <textarea rows={3} placeholder={t("form.lines")} {...common} value={held} onInput={type} />;
    default:
      return <textarea class="mono" rows={5} spellcheck={false} {...common} value={held} onInput={type} />;
  }
}

interface ManyProps {
  ask: Extract<Ask, { kind: "many" }>;
  held: Held;
  enter: (held: Held) => void;
  isInvalid: boolean;
}

function Many({ ask, held, enter, isInvalid }: ManyProps) {
  const chosen = typeof held === "object" ? held : [];
  const set = (index: number, isIn: boolean): void => enter(isIn ? [...chosen, index] : chosen.filter((other) => other !== index));
  return (
    <>
      {ask.choices.map((choice, index) => (
        <label class="check" key={index}>
          <input
            type="checkbox"
            checked={chosen.includes(index)}
            aria-invalid={isInvalid ? "true" : undefined}
            onChange={(event) => set(index, event.currentTarget.checked)}
          />
          <span>{visible(choice.label)}</span>
        </label>
      ))}
    </>
  );
}
