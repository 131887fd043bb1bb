/** What an agent sent along: metadata as a table, attachments as text to read or to save. */

import { t, tn } from "../i18n/texts.ts";
import { download } from "../lib/download.ts";
import { Icon } from "./icon.tsx";
import { Name, Plain } from "./text.tsx";

interface Attached {
  type: string;
  name: string;
  content: string;
}

/** As much of an attachment as is shown; the rest is in the download. */
const SHOWN = 50_000;

/** So many rows are seen at once. */
const FEW = 8;

/** Whether a value is a list that reads as one line. */
function isPlainList(value: unknown): value is readonly (string | number)[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "number" || (typeof one === "string" && one.length < 40 && !one.includes(",")));
}

function Value({ value }: { value: unknown }) {
  if (typeof value === "string") return <Plain>{value}</Plain>;
  if (isPlainList(value)) return <Plain>{value.join(", ")}</Plain>;
  if (typeof value === "object" && value !== null) return <pre class="code" tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>;
  return <span class="mono">{String(value)}</span>;
}

function Rows({ values }: { values: readonly (readonly [string, unknown])[] }) {
  return (
    <table class="facts" aria-label={t("context.metadata")}>
      <tbody>
        {values.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">
              <Name>{name}</Name>
            </th>
            <td dir="auto">
              <Value value={value} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A table of names and values. */
export function Metadata({ values }: { values: Readonly<Record<string, unknown>> }) {
  const all = Object.entries(values);
  if (all.length === 0) return null;
  if (all.length <= FEW) return <Rows values={all} />;
  return (
    <details class="fold">
      <summary>
        <Icon name="chevron" />
        {t("context.metadata")} <span class="count">{all.length}</span>
      </summary>
      <Rows values={all} />
    </details>
  );
}

function size(bytes: number): string {
  return bytes < 1024 ? tn("context.bytes", bytes) : t("context.kilobytes", { count: (bytes / 1024).toFixed(1) });
}

function AttachmentFold({ attachment }: { attachment: Attached }) {
  const { name, type, content } = attachment;
  const isCut = content.length > SHOWN;
  return (
    <details class="fold">
      <summary>
        <Icon name="chevron" />
        <span class="unseen">{t("context.attachment")} </span>
        <Name>{name}</Name>
        <span class="muted small">
          <Name>{type}</Name> · {size(new TextEncoder().encode(content).length)}
        </span>
      </summary>
      <pre class="code" tabIndex={0} dir="auto">
        <Plain>{isCut ? content.slice(0, SHOWN) : content}</Plain>
      </pre>
      <p class="row">
        <button type="button" class="small" onClick={() => download(name, type, content)}>
          <Icon name="download" />
          {t("context.download")}
        </button>
        {isCut && <span class="muted small">{t("context.cut")}</span>}
      </p>
    </details>
  );
}

/** Each attachment behind its name. */
export function Attachments({ attachments }: { attachments: readonly Attached[] }) {
  return (
    <>
      {attachments.map((attachment, index) => (
        <AttachmentFold key={index} attachment={attachment} />
      ))}
    </>
  );
}
