/** The text of an event stream, cut into events (WHATWG HTML, section 9.2.6). */

/** One event. */
export interface StreamEvent {
  kind: string;
  data: string;
  id: string | null;
}

/** Reads events out of pieces of text, however they are cut. */
export class EventReader {
  private rest = "";
  private kind = "";
  private data: string[] = [];
  private id: string | null = null;

  /** The events that are complete with this piece. */
  read(piece: string): StreamEvent[] {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line.endsWith("\r") ? line.slice(0, -1) : line));
  }

  private line(line: string): StreamEvent[] {
    if (line === "") return this.end();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.kind = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return [];
  }

  private end(): StreamEvent[] {
    const { kind, data, id } = this;
    this.kind = "";
    this.data = [];
    return data.length === 0 ? [] : [{ kind: kind || "message", data: data.join("\n"), id }];
  }
}
