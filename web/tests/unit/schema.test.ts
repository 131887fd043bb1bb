import assert from "node:assert/strict";
import test from "node:test";

import { type Entries, fill, type Held, nearest, pointerOf } from "../../src/lib/form.ts";
import { type Field, fieldsOf } from "../../src/lib/schema.ts";

const entries = (held: Record<string, Held>): Entries => new Map(Object.entries(held));
const kinds = (fields: readonly Field[]): string[] => fields.map((field) => `${field.pointer} ${field.ask.kind}`);

const REFUND = {
  type: "object",
  required: ["reason", "amount", "currency"],
  properties: {
    reason: { type: "string", title: "Reason", minLength: 3 },
    amount: { type: "number", minimum: 0, maximum: 500 },
    count: { type: "integer", exclusiveMinimum: 0 },
    currency: { enum: ["EUR", "USD"] },
    notify: { type: "boolean" },
    address: { type: "object", required: ["city"], properties: { city: { type: "string" }, zip: { type: ["string", "null"] } } },
    tags: { type: "array", items: { enum: ["late", "defect"] }, maxItems: 1 },
    numbers: { type: "array", items: { type: "integer" } },
    free: { oneOf: [{ type: "string" }, { type: "number" }] },
    level: { oneOf: [{ const: 1, title: "Low" }, { const: 2, title: "High" }] },
    linked: { $ref: "#/$defs/name" },
  },
  $defs: { name: { type: "string", title: "Name" } },
};

test("a schema becomes fields in its order", () => {
  assert.deepEqual(kinds(fieldsOf(REFUND)), [
    "/reason text",
    "/amount number",
    "/count number",
    "/currency one",
    "/notify boolean",
    "/address group",
    "/tags many",
    "/numbers lines",
    "/free json",
    "/level one",
    "/linked text",
  ]);
  assert.equal(fieldsOf(REFUND)[10]?.title, "Name");
});

test("an answer has the types of the schema, and nothing that was left out", () => {
  const filled = fill(
    fieldsOf(REFUND),
    entries({ "/reason": "broken", "/amount": " 12.50 ", "/count": "3", "/currency": "1", "/notify": true, "/tags": [1], "/numbers": "1\n\n2", "/level": "1", "/free": '{"a":1}' }),
  );
  assert.deepEqual([...filled.faults], []);
  assert.deepEqual(filled.answer, {
    reason: "broken",
    amount: 12.5,
    count: 3,
    currency: "USD",
    notify: true,
    tags: ["defect"],
    numbers: [1, 2],
    free: { a: 1 },
    level: 2,
  });
});

test("what is missing or out of bounds is a fault at its field", () => {
  const faults = (held: Record<string, Held>): string[] => [...fill(fieldsOf(REFUND), entries(held)).faults].map(([pointer, fault]) => `${pointer} ${fault.key}`);
  assert.deepEqual(faults({}), ["/reason required", "/amount required", "/currency required"]);
  const given = { "/reason": "abc", "/amount": "1", "/currency": "0" };
  assert.deepEqual(faults(given), []);
  assert.deepEqual(faults({ ...given, "/amount": "501" }), ["/amount max"]);
  assert.deepEqual(faults({ ...given, "/amount": "-1" }), ["/amount min"]);
  assert.deepEqual(faults({ ...given, "/count": "0" }), ["/count above"]);
  assert.deepEqual(faults({ ...given, "/count": "1.5" }), ["/count integer"]);
  assert.deepEqual(faults({ ...given, "/reason": "ab" }), ["/reason short"]);
  assert.deepEqual(faults({ ...given, "/tags": [0, 1] }), ["/tags many"]);
  assert.deepEqual(faults({ ...given, "/free": "{" }), ["/free json"]);
  assert.deepEqual(faults({ ...given, "/address/zip": "1000" }), ["/address/city required"], "a group that was begun");
});

test("a schema that no form can show is one field for JSON", () => {
  for (const schema of [undefined, null, {}, { type: "string" }, { allOf: [{}] }, { $ref: "#/nowhere" }, { $ref: "#" }]) {
    const fields = fieldsOf(schema);
    assert.deepEqual(kinds(fields), [" json"], JSON.stringify(schema));
    assert.deepEqual(fill(fields, entries({ "": '{"a": [1]}' })).answer, { a: [1] });
    assert.equal(fill(fields, entries({ "": "[1]" })).faults.get("")?.key, "object");
    assert.equal(fill(fields, entries({ "": "no" })).faults.get("")?.key, "json");
  }
});

test("a form begins with what is given", () => {
  const given = { reason: "broken", amount: 5, currency: "USD", notify: true, address: { city: "Bern" }, tags: ["late"], level: 2, other: 1 };
  const fields = fieldsOf(REFUND, given);
  const { answer, faults } = fill(fields, entries({ "/amount": "6" }));
  assert.deepEqual([...faults], []);
  assert.deepEqual(answer, { reason: "broken", amount: 6, currency: "USD", notify: true, address: { city: "Bern" }, tags: ["late"], level: 2 });
});

test("schemas that refer to themselves end", () => {
  const tree = { type: "object", properties: { child: { $ref: "#" }, name: { type: "string" } } };
  assert.ok(JSON.stringify(fieldsOf(tree)).length < 20_000);
  const loop = { type: "object", properties: { a: { $ref: "#/properties/b" }, b: { $ref: "#/properties/a" } } };
  assert.deepEqual(kinds(fieldsOf(loop)), ["/a json", "/b json"]);
});

test("a key may have any name", () => {
  const fields = fieldsOf({ type: "object", properties: JSON.parse('{"__proto__": {"type": "string"}, "a/b~c": {"type": "string"}}') });
  const { answer } = fill(fields, entries({ "/__proto__": "x", "/a~1b~0c": "y" }));
  assert.equal(JSON.stringify(answer), '{"__proto__":"x","a/b~c":"y"}');
});

test("faults of the hub find their field however their path is written", () => {
  for (const path of ["response_data.address.city", "/address/city", "address.city", "/response_data/address/city"]) {
    assert.equal(pointerOf(path), "/address/city", path);
  }
  assert.equal(pointerOf("response_data.tags[0]"), "/tags/0");
  assert.equal(pointerOf("response_data"), "");
  assert.equal(nearest(["/tags", "/tag"], "/tags/0"), "/tags");
  assert.equal(nearest(["/tags"], "/other"), null);
});
