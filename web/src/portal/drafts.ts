/** What a person has typed and not sent, by request. It outlives everything but the page itself. */

import { signal, type Signal } from "@preact/signals";

import type { Entries } from "../lib/form.ts";

export interface Draft {
  /** The comment of an approval, or the text of an answer. */
  text: string;
  /** The proposal as edited; `null` while it is not being edited. */
  edited: string | null;
  /** Keys of chosen options. */
  chosen: readonly string[];
  entries: Entries;
}

const EMPTY: Draft = { text: "", edited: null, chosen: [], entries: new Map() };

const drafts = new Map<string, Signal<Draft>>();

/** The draft of a request. */
export function draftOf(id: string): Signal<Draft> {
  let draft = drafts.get(id);
  if (draft === undefined) {
    draft = signal(EMPTY);
    drafts.set(id, draft);
  }
  return draft;
}

/** Changes a part of it. */
export function change(id: string, part: Partial<Draft>): void {
  const draft = draftOf(id);
  draft.value = { ...draft.peek(), ...part };
}

/** Whether anything would be lost with it. */
export function isBegun(id: string): boolean {
  const draft = drafts.get(id)?.peek() ?? EMPTY;
  return draft.text.trim() !== "" || draft.edited !== null || draft.chosen.length > 0 || draft.entries.size > 0;
}

/** The text that somebody typed, if there is one worth keeping. */
export function typedText(id: string): string | null {
  const draft = drafts.get(id)?.peek() ?? EMPTY;
  const typed = [draft.edited ?? "", draft.text].map((text) => text.trim()).filter((text) => text !== "");
  return typed.length > 0 ? typed.join("\n\n") : null;
}

export function forget(id: string): void {
  drafts.delete(id);
}

export function forgetAll(): void {
  drafts.clear();
}
