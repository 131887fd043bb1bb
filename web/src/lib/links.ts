/**
 * Links in texts that strangers wrote. Only `http`, `https` and `mailto` addresses are links, and a link's text is its
 * address, so that none pretends to lead elsewhere.
 */

/** A piece of text, with an address if it is a link. */
export interface Piece {
  text: string;
  href: string | null;
}

const CANDIDATE = /\b(?:https?:\/\/|mailto:)[^\s<>"'`{}|\\^\u0000-\u001f]{1,2000}/gi;

/** What a sentence puts behind an address. */
const BEHIND = /[.,;:!?)\]…。，；：！？）】」』]+$/u;

/** The address if a page may link to it. */
export function safeHref(text: string): string | null {
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function withoutBehind(text: string): string {
  const bare = text.replace(BEHIND, "");
  // A bracket that was opened within the address belongs to it.
  const opens = (bare.match(/\(/g) ?? []).length > (bare.match(/\)/g) ?? []).length;
  return opens && text.charAt(bare.length) === ")" ? `${bare})` : bare;
}

/** Splits a text into plain pieces and links. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    const address = withoutBehind(match[0]);
    const href = safeHref(address);
    if (href === null) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index), href: null });
    found.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) found.push({ text: text.slice(end), href: null });
  return found;
}
