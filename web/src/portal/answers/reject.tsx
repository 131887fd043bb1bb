/** Rejecting what has a form of its own: that needs none of it. */

import { Icon } from "../../components/icon.tsx";
import { t } from "../../i18n/texts.ts";
import type { Sending } from "./sending.ts";

export function RejectButton({ isBusy, send }: Sending) {
  return (
    <button type="button" class="danger" disabled={isBusy} onClick={() => void send({ decision: "rejected" })}>
      <Icon name="close" />
      {t("answer.reject")}
    </button>
  );
}
