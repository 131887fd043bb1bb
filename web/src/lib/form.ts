/** What was put into the fields of a form, as the answer it makes or the faults it has. */

import type { Ask, Field } from "./schema.ts";

/** What a control holds: a text, a switch, or the positions of what is chosen. */
export type Held = string | boolean | readonly number[];

/** What controls hold, by the fields' pointers. */
export type Entries = ReadonlyMap<string, Held>;

/** What is wrong with a field: a key of the texts, and what it speaks of. */
export interface FieldFault {
  key: "required" | "number" | "integer" | "min" | "max" | "above" | "below" | "step" | "short" | "long" | "pattern" | "email" | "url" | "json" | "object" | "few" | "many";
  limit?: number;
}

/** An answer with what is wrong with it, by pointer. */
export interface Filled {
  answer: Record<string, unknown>;
  faults: ReadonlyMap<string, FieldFault>;
}

/** Nothing was put in. */
const ABSENT = Symbol("absent");

type Read = unknown | typeof ABSENT | FieldFaultBox;

class FieldFaultBox {
  constructor(readonly fault: FieldFault) {}
}

function refuse(key: FieldFault["key"], limit?: number | null): FieldFaultBox {
  return new FieldFaultBox(limit === undefined || limit === null ? { key } : { key, limit });
}

function readNumber(held: string, ask: Extract<Ask, { kind: "number" }>): Read {
  const value = Number(held.trim());
  if (!Number.isFinite(value)) return refuse("number");
  if (ask.isInteger && !Number.isInteger(value)) return refuse("integer");
  if (ask.min !== null && value < ask.min) return refuse("min", ask.min);
  if (ask.max !== null && value > ask.max) return refuse("max", ask.max);
  if (ask.above !== null && value <= ask.above) return refuse("above", ask.above);
  if (ask.below !== null && value >= ask.below) return refuse("below", ask.below);
  if (ask.step !== null && ask.step > 0) {
    const steps = value / ask.step;
    if (Math.abs(steps - Math.round(steps)) > 1e-9 * Math.max(1, Math.abs(steps))) return refuse("step", ask.step);
  }
  return value;
}

function isMatch(pattern: string, held: string): boolean {
  try {
    return new RegExp(pattern, "u").test(held);
  } catch {
    // The hub reads patterns of another dialect; it decides.
    return true;
  }
}

function readText(held: string, ask: Extract<Ask, { kind: "text" }>): Read {
  const length = Array.from(held).length;
  if (length < ask.min) return refuse("short", ask.min);
  if (ask.max !== null && length > ask.max) return refuse("long", ask.max);
  if (ask.pattern !== null && !isMatch(ask.pattern, held)) return refuse("pattern");
  if (ask.input === "email" && !/^[^\s@]+@[^\s@]+$/.test(held)) return refuse("email");
  if (ask.input === "url" && !/^[a-z][a-z0-9+.-]*:\S+$/i.test(held)) return refuse("url");
  return held;
}

function readLines(held: string, ask: Extract<Ask, { kind: "lines" }>): Read {
  const lines = held.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length < ask.min) return refuse("few", ask.min);
  if (ask.max !== null && lines.length > ask.max) return refuse("many", ask.max);
  if (ask.item === "string") return lines;
  const numbers = lines.map(Number);
  if (numbers.some((one) => !Number.isFinite(one))) return refuse("number");
  return ask.item === "integer" && numbers.some((one) => !Number.isInteger(one)) ? refuse("integer") : numbers;
}

function readMany(held: readonly number[], ask: Extract<Ask, { kind: "many" }>): Read {
  if (held.length < ask.min) return refuse("few", ask.min);
  if (ask.max !== null && held.length > ask.max) return refuse("many", ask.max);
  return ask.choices.filter((_, index) => held.includes(index)).map((choice) => choice.value);
}

function readJson(held: string): Read {
  try {
    return JSON.parse(held) as unknown;
  } catch {
    return refuse("json");
  }
}

function isEmpty(held: Held): boolean {
  return typeof held === "string" ? held.trim() === "" : Array.isArray(held) && held.length === 0;
}

function read(field: Field, held: Held): Read {
  const { ask } = field;
  if (ask.kind === "boolean") return held === true;
  if (isEmpty(held)) {
    if (!field.isRequired) return ABSENT;
    // A list that may be empty is there all the same.
    const mayBeEmpty = (ask.kind === "many" || ask.kind === "lines") && ask.min === 0;
    return mayBeEmpty ? [] : refuse("required");
  }
  if (typeof held === "object") return ask.kind === "many" ? readMany(held, ask) : ABSENT;
  const entered = String(held);
  switch (ask.kind) {
    case "number":
      return readNumber(entered, ask);
    case "text":
      return readText(entered, ask);
    case "lines":
      return readLines(entered, ask);
    case "json":
      return readJson(entered);
    case "one":
      return ask.choices[Number(entered)]?.value;
    default:
      return ABSENT;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fillInto(target: Record<string, unknown>, fields: readonly Field[], entries: Entries, faults: Map<string, FieldFault>): void {
  for (const field of fields) {
    if (field.ask.kind === "group") {
      const inner: Record<string, unknown> = {};
      const own = new Map<string, FieldFault>();
      fillInto(inner, field.ask.fields, entries, own);
      // A group that may be left out is, while nothing was put into it.
      const isUntouched = !field.isRequired && !anyEntered(field.ask.fields, entries);
      if (isUntouched) continue;
      own.forEach((fault, pointer) => faults.set(pointer, fault));
      define(target, field.key, inner);
      continue;
    }
    const value = read(field, entries.get(field.pointer) ?? field.initial);
    if (value instanceof FieldFaultBox) faults.set(field.pointer, value.fault);
    else if (value !== ABSENT) define(target, field.key, value);
  }
}

/** Sets a key whatever it is called, also `__proto__`. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function anyEntered(fields: readonly Field[], entries: Entries): boolean {
  return fields.some((field) => {
    if (field.ask.kind === "group") return anyEntered(field.ask.fields, entries);
    const held = entries.get(field.pointer) ?? field.initial;
    return held === true || (typeof held !== "boolean" && !isEmpty(held));
  });
}

/** The answer that the entries make. */
export function fill(fields: readonly Field[], entries: Entries): Filled {
  const faults = new Map<string, FieldFault>();
  const [first] = fields;
  if (fields.length === 1 && first !== undefined && first.pointer === "") {
    const value = read(first, entries.get("") ?? first.initial);
    if (isObject(value) && !(value instanceof FieldFaultBox)) return { answer: value, faults };
    faults.set("", value instanceof FieldFaultBox ? value.fault : { key: "object" });
    return { answer: {}, faults };
  }
  const answer: Record<string, unknown> = {};
  fillInto(answer, fields, entries, faults);
  return { answer, faults };
}

/** The pointer that a path in a refusal of the hub means, whichever way it is written. */
export function pointerOf(path: string): string {
  const bare = path.replace(/^\/?response_data\b/, "");
  if (bare === "" || bare.startsWith("/")) return bare;
  return bare.replace(/\[(\d+)\]/g, ".$1").replace(/^\.?/, "/").replaceAll(".", "/");
}

/** The field that is at a pointer, or the nearest around it. */
export function nearest(pointers: readonly string[], pointer: string): string | null {
  const around = pointers.filter((one) => pointer === one || pointer.startsWith(`${one}/`));
  return around.sort((a, b) => b.length - a.length)[0] ?? null;
}
