/**
 * A JSON Schema as the fields of a form. What a form cannot ask for by its own controls is one field for JSON text, so every
 * schema can be answered; the hub checks the answer against the whole schema.
 */

/** A schema, or any other object of JSON. */
export type Schema = Readonly<Record<string, unknown>>;

/** One choice of a field. */
export interface Choice {
  label: string;
  value: unknown;
}

/** What a field asks for. */
export type Ask =
  | { kind: "text"; isLong: boolean; input: "text" | "email" | "url" | "date" | "time"; min: number; max: number | null; pattern: string | null }
  | { kind: "number"; isInteger: boolean; min: number | null; max: number | null; above: number | null; below: number | null; step: number | null }
  | { kind: "boolean" }
  | { kind: "one"; choices: readonly Choice[] }
  | { kind: "many"; choices: readonly Choice[]; min: number; max: number | null }
  | { kind: "lines"; item: "string" | "number" | "integer"; min: number; max: number | null }
  | { kind: "group"; fields: readonly Field[] }
  | { kind: "json" };

/** One field. */
export interface Field {
  /** Where it is in the answer, as a JSON Pointer; `""` is the answer itself. */
  pointer: string;
  key: string;
  title: string;
  description: string | null;
  isRequired: boolean;
  /** What it holds at first, as the control has it. */
  initial: string | boolean | readonly number[];
  ask: Ask;
}

/** Deeper schemas are one field for JSON. */
const DEEPEST = 5;

/** More choices than anybody reads become a text. */
const MOST_CHOICES = 200;

function object(value: unknown): Schema | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : null;
}

function text(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function pointerTo(parent: string, key: string): string {
  return `${parent}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The schema that is meant: references within the document are followed. */
function resolve(schema: Schema, root: Schema): Schema {
  let found = schema;
  for (let steps = 0; steps < DEEPEST; steps++) {
    const reference = found["$ref"];
    if (typeof reference !== "string") return found;
    if (!reference.startsWith("#/")) return {};
    let place: unknown = root;
    for (const part of reference.slice(2).split("/")) {
      place = object(place)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")];
    }
    const target = object(place);
    if (target === null) return {};
    const { $ref: _, ...beside } = found;
    found = { ...target, ...beside };
  }
  return {};
}

/** The one type besides null. */
function typeOf(schema: Schema): string | null {
  const type = schema["type"];
  const types = Array.isArray(type) ? type.filter((one) => one !== "null") : [type];
  if (types.length === 1 && typeof types[0] === "string") return types[0];
  if (type === undefined && object(schema["properties"]) !== null) return "object";
  return null;
}

function label(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The values that a schema lists, with their names. */
function choicesOf(schema: Schema): Choice[] | null {
  const alternatives = schema["oneOf"] ?? schema["anyOf"];
  if (Array.isArray(schema["enum"])) {
    const names = Array.isArray(schema["enumNames"]) ? schema["enumNames"] : [];
    return schema["enum"].map((value: unknown, index) => ({ value, label: text(names[index]) ?? label(value) }));
  }
  if ("const" in schema) return [{ value: schema["const"], label: text(schema["title"]) ?? label(schema["const"]) }];
  if (!Array.isArray(alternatives)) return null;
  const listed = alternatives.map((one: unknown) => object(one));
  if (listed.length === 0 || !listed.every((one) => one !== null && "const" in one)) return null;
  return listed.map((one) => ({ value: one?.["const"], label: text(one?.["title"]) ?? label(one?.["const"]) }));
}

const INPUTS: Readonly<Record<string, "email" | "url" | "date" | "time">> = { email: "email", uri: "url", url: "url", date: "date", time: "time" };

/** From here on a text gets more than one line. */
const LONG = 120;

function askText(schema: Schema): Ask {
  const [min, max] = [number(schema["minLength"]) ?? 0, number(schema["maxLength"])];
  const format = text(schema["format"]) ?? "";
  const isLong = ["textarea", "markdown"].includes(format) || min > LONG || (max !== null && max > LONG) || label(schema["default"] ?? "").includes("\n");
  return { kind: "text", isLong, input: INPUTS[format] ?? "text", min, max, pattern: text(schema["pattern"]) };
}

function askNumber(schema: Schema, isInteger: boolean): Ask {
  return {
    kind: "number",
    isInteger,
    min: number(schema["minimum"]),
    max: number(schema["maximum"]),
    above: number(schema["exclusiveMinimum"]),
    below: number(schema["exclusiveMaximum"]),
    step: number(schema["multipleOf"]),
  };
}

function askList(schema: Schema, root: Schema): Ask {
  const items = resolve(object(schema["items"]) ?? {}, root);
  const [min, max] = [number(schema["minItems"]) ?? 0, number(schema["maxItems"])];
  const choices = choicesOf(items);
  if (choices !== null && choices.length <= MOST_CHOICES) return { kind: "many", choices, min, max };
  const type = typeOf(items);
  if (type === "string" || type === "number" || type === "integer") return { kind: "lines", item: type, min, max };
  return { kind: "json" };
}

function ask(schema: Schema, root: Schema, place: Place): Ask {
  const choices = choicesOf(schema);
  const isFlag = typeOf(schema) === "boolean" && !("const" in schema) && schema["enum"] === undefined;
  if (choices !== null && choices.length > 0 && choices.length <= MOST_CHOICES) return { kind: "one", choices };
  if (isFlag) return { kind: "boolean" };
  switch (typeOf(schema)) {
    case "string":
      return askText(schema);
    case "integer":
      return askNumber(schema, true);
    case "number":
      return askNumber(schema, false);
    case "array":
      return askList(schema, root);
    case "object":
      return place.depth < DEEPEST && object(schema["properties"]) !== null ? { kind: "group", fields: fieldsIn(schema, root, { ...place, depth: place.depth + 1 }) } : { kind: "json" };
    default:
      return { kind: "json" };
  }
}

/** Where a field is, and what is there already. */
interface Place {
  pointer: string;
  depth: number;
  given: unknown;
}

function initialOf(ask: Ask, given: unknown): Field["initial"] {
  switch (ask.kind) {
    case "boolean":
      return given === true;
    case "one": {
      const index = ask.choices.findIndex((choice) => JSON.stringify(choice.value) === JSON.stringify(given));
      return index >= 0 ? String(index) : "";
    }
    case "many": {
      const wanted = Array.isArray(given) ? given.map((one) => JSON.stringify(one)) : [];
      return ask.choices.flatMap((choice, index) => (wanted.includes(JSON.stringify(choice.value)) ? [index] : []));
    }
    case "lines":
      return Array.isArray(given) ? given.map(label).join("\n") : "";
    case "json":
      return given === undefined ? "" : JSON.stringify(given, null, 2);
    case "group":
      return "";
    default:
      return given === undefined || given === null ? "" : label(given);
  }
}

function fieldsIn(schema: Schema, root: Schema, parent: Place): Field[] {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  return Object.entries(object(schema["properties"]) ?? {}).map(([key, value]) => {
    const own = resolve(object(value) ?? {}, root);
    const pointer = pointerTo(parent.pointer, key);
    const given = object(parent.given)?.[key];
    const asked = ask(own, root, { pointer, depth: parent.depth, given });
    return {
      pointer,
      key,
      title: text(own["title"]) ?? key,
      description: text(own["description"]),
      isRequired: required.includes(key),
      initial: initialOf(asked, given ?? own["default"]),
      ask: asked,
    };
  });
}

/** The fields of a form for this schema, holding what is given at first. */
export function fieldsOf(schema: unknown, given?: unknown): Field[] {
  const root = object(schema) ?? {};
  const own = resolve(root, root);
  const fields = typeOf(own) === "object" ? fieldsIn(own, root, { pointer: "", depth: 0, given }) : [];
  if (fields.length > 0) return fields;
  // An answer is an object in any case.
  return [{ pointer: "", key: "", title: "JSON", description: text(own["description"]), isRequired: true, initial: JSON.stringify(object(given) ?? {}, null, 2), ask: { kind: "json" } }];
}
