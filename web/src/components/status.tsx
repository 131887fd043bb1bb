/** The region in which the page says what happened, for everybody who does not look. */

import { messages } from "../lib/announce.ts";

export function StatusRegion() {
  return (
    <div class="unseen" role="status" aria-live="polite" aria-atomic="false">
      {messages.value.map((message) => (
        <p key={message.id}>{message.text}</p>
      ))}
    </div>
  );
}
