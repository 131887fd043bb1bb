/**
 * The page's words in the chosen language: flat keys, `{name}` for what is filled in, and `.one`/`.other` where it counts.
 * The language is the saved one, else the one of an earlier page of this hub, else the browser's.
 */

import { effect, signal } from "@preact/signals";

import { asset } from "../lib/page.ts";
import { stored } from "../lib/stored.ts";
import { filled } from "./filled.ts";
import type english from "./en.json";

/** Every text. */
export type Key = keyof typeof english;

/** Texts that depend on a number. */
export type CountKey = { [K in Key]: K extends `${infer Name}.other` ? Name : never }[Key];

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

const texts = signal<Readonly<Record<string, string>>>({});

function browserLanguage(): Language {
  const cookie = /(?:^|; )NEXT_LOCALE=(\w+)/.exec(document.cookie)?.[1];
  const wanted = [...(cookie === undefined ? [] : [cookie]), ...navigator.languages];
  return wanted.map((tag) => LANGUAGES.find((known) => tag.toLowerCase().startsWith(known))).find((known) => known !== undefined) ?? "en";
}

export const language = stored<Language>("language", LANGUAGES, browserLanguage());

/** The texts of a language; those of the page stay when they cannot be had. */
async function load(wanted: Language): Promise<void> {
  const answer = await fetch(asset(wanted));
  if (!answer.ok) throw new Error(`the texts of ${wanted} were refused with ${answer.status}`);
  const read = (await answer.json()) as Record<string, string>;
  if (language.peek() !== wanted) return;
  texts.value = read;
  document.documentElement.lang = wanted === "zh" ? "zh-CN" : "en";
}

/** Loads the texts and follows the choice. Resolves with the first ones. */
export function startTexts(): Promise<void> {
  return new Promise((resolve, reject) => {
    effect(() => {
      load(language.value).then(resolve, reject);
    });
  });
}

/** A text. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return filled(texts.value[key] ?? key, values);
}

/** A text about so many things; `{count}` is the number. */
export function tn(key: CountKey, count: number, values: Readonly<Record<string, string | number>> = {}): string {
  const form = new Intl.PluralRules(language.value).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}` as Key, { count: new Intl.NumberFormat(language.value).format(count), ...values });
}

/** A text whose key is made of a value that the hub sent, or the value itself if it is a new one. */
export function word(prefix: string, value: string): string {
  return texts.value[`${prefix}.${value}`] ?? value;
}
