import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";

import { parts } from "../../src/lib/duration.ts";
import { decoded, fileName } from "../../src/lib/download.ts";
import { pieces, safeHref } from "../../src/lib/links.ts";
import { EventReader } from "../../src/lib/sse.ts";
import { shortened, visible } from "../../src/lib/visible.ts";
import { filled } from "../../src/i18n/filled.ts";

const WEB = process.env["WEB_FOLDER"] ?? ".";

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const place = path.join(folder, entry.name);
    return entry.isDirectory() ? sources(place) : /\.tsx?$/.test(entry.name) ? [readFileSync(place, "utf8")] : [];
  });
}

function language(name: string): Record<string, string> {
  return JSON.parse(readFileSync(path.join(WEB, `src/i18n/${name}.json`), "utf8")) as Record<string, string>;
}

test("languages have the same texts with the same places to fill in", () => {
  const [en, zh] = [language("en"), language("zh")];
  assert.deepEqual(Object.keys(zh), Object.keys(en));
  const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [key, text] of Object.entries(en)) assert.deepEqual(places(zh[key] ?? ""), places(text), key);
});

test("no text is left over", () => {
  const code = sources(path.join(WEB, "src")).join("\n");
  const literals = new Set([...code.matchAll(/["'`]([a-zA-Z_.]+)["'`]/g)].map((match) => match[1]));
  const prefixes = [...code.matchAll(/(?:t\(|tn\(|word\(|return )\s*[`"]([a-z_.]+?)(?:\.\$\{|")/g)].map((match) => match[1]);
  const isUsed = (key: string): boolean => {
    const bare = key.replace(/\.(one|other)$/, "");
    return literals.has(key) || literals.has(bare) || prefixes.some((prefix) => key.startsWith(`${prefix}.`));
  };
  assert.deepEqual(Object.keys(language("en")).filter((key) => !isUsed(key)), []);
});

test("only web and mail addresses are links, and say where they lead", () => {
  const links = (text: string): (string | null)[] => pieces(text).map((piece) => piece.href);
  assert.deepEqual(pieces("see https://a.example/x?y=1. Or (http://b.example/z)!"), [
    { text: "see ", href: null },
    { text: "https://a.example/x?y=1", href: "https://a.example/x?y=1" },
    { text: ". Or (", href: null },
    { text: "http://b.example/z", href: "http://b.example/z" },
    { text: ")!", href: null },
  ]);
  assert.deepEqual(pieces("https://a.example/b_(c)").map((piece) => piece.text), ["https://a.example/b_(c)"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "https://"]) {
    assert.deepEqual(links(text), [null], text);
    assert.equal(safeHref(text), null, text);
  }
  assert.equal(pieces("mailto:dora@example.com").length, 1);
});

test("splitting into links takes a text's length of time", () => {
  const began = performance.now();
  for (const unit of ["https://", "http://a.", "mailto:", "https://a)", "((((", "https://a.example/("]) pieces(unit.repeat(20_000));
  assert.ok(performance.now() - began < 2_000);
});

test("what hides in a text is seen", () => {
  assert.equal(visible("a\u202Eb\u200Bc\u0007d\r\ne\tf"), "a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩d\ne\tf");
  assert.equal(shortened("  one\n two 😀😀😀 ", 10), "one two 😀…");
});

test("spans have their two largest units", () => {
  const of = (seconds: number): string => parts(seconds).map(([unit, count]) => `${count} ${unit}`).join(" ");
  assert.equal(of(0), "0 second");
  assert.equal(of(59.9), "59 second");
  assert.equal(of(61), "1 minute 1 second");
  assert.equal(of(3_600), "1 hour");
  assert.equal(of(90_061), "1 day 1 hour");
  assert.equal(of(-5), "0 second");
});

test("a stream is read however it is cut", () => {
  const text = "retry: 2000\n\n: comment\n\nid: 1\nevent: state_change\ndata: {\"a\":1}\n\r\nevent: gap\ndata: x\ndata: y\r\n\r\ndata: z\n\n";
  const whole = new EventReader().read(text);
  assert.deepEqual(whole, [
    { kind: "state_change", data: '{"a":1}', id: "1" },
    { kind: "gap", data: "x\ny", id: "1" },
    { kind: "message", data: "z", id: "1" },
  ]);
  const reader = new EventReader();
  assert.deepEqual([...text].flatMap((character) => reader.read(character)), whole);
});

test("attachments are saved under harmless names", () => {
  assert.equal(fileName("../../etc/passwd"), "_.._etc_passwd");
  assert.equal(fileName("a\u202Egpj.exe"), "a_gpj.exe");
  assert.equal(fileName(" .. "), "attachment.txt");
  assert.equal(decoded("text/plain", "aGVsbG8gd29ybGQh"), null);
  assert.deepEqual(Buffer.from(decoded("image/png", "aGVsbG8gd29ybGQh") ?? []).toString(), "hello world!");
  assert.equal(decoded("image/png", "not base64!!"), null);
});

test("texts are filled in", () => {
  assert.equal(filled("{a} of {b} {c}", { a: 1, b: "{a}" }), "1 of {a} {c}");
});
