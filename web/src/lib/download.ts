/** Saving a text as a file. Its type is never one that a browser opens as a page. */

const NAMELESS = "attachment.txt";

/** A name without anything that a file system or a shell takes for more than a name. */
export function fileName(name: string): string {
  const safe = name.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069/\\:*?"<>|]/gu, "_").replace(/^[.\s]+/, "");
  return safe.slice(0, 120) || NAMELESS;
}

/** The bytes of base64, if that is what an attachment of a binary type holds. */
export function decoded(type: string, content: string): Uint8Array<ArrayBuffer> | null {
  const isText = /^(text\/|application\/(json|xml|yaml|x-ndjson|javascript|sql)|[a-z]+$)/i.test(type);
  const packed = content.replace(/\s+/g, "");
  if (isText || packed.length < 8 || packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return null;
  try {
    return Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

/** Lets the browser save an attachment. */
export function download(name: string, type: string, content: string): void {
  const address = URL.createObjectURL(new Blob([decoded(type, content) ?? content], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = fileName(name);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
