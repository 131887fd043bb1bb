/** Texts that agents wrote: never markup, everything in them visible, links only where they say. */

import { useState } from "preact/hooks";

import { t } from "../i18n/texts.ts";
import { pieces } from "../lib/links.ts";
import { visible } from "../lib/visible.ts";

/** A name in a direction of its own. */
export function Name({ children, mono = false }: { children: string; mono?: boolean }) {
  return <bdi class={mono ? "mono" : undefined}>{visible(children)}</bdi>;
}

/** A text with its line breaks and links. */
export function Plain({ children }: { children: string }) {
  return (
    <>
      {pieces(visible(children)).map(({ text, href }) =>
        href === null ? (
          text
        ) : (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow">
            {text}
          </a>
        ),
      )}
    </>
  );
}

/** From so many characters or lines on a text is folded. */
const LONG_CHARACTERS = 900;
const LONG_LINES = 14;

/** A text that is folded while it is long. */
export function Prose({ children }: { children: string }) {
  const isLong = children.length > LONG_CHARACTERS || children.split("\n").length > LONG_LINES;
  const [isOpen, open] = useState(false);
  return (
    <div class="prose">
      <div class={isLong && !isOpen ? "prose-text folded" : "prose-text"} dir="auto">
        <Plain>{children}</Plain>
      </div>
      {isLong && (
        <button type="button" class="quiet small" aria-expanded={isOpen} onClick={() => open(!isOpen)}>
          {t(isOpen ? "detail.less" : "detail.more")}
        </button>
      )}
    </div>
  );
}
