/** Setting a password: offered after a login by link, and found in the menu afterwards. */

import { signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";

import { Dialog } from "../components/dialog.tsx";
import { ErrorNote } from "../components/error_note.tsx";
import { Icon } from "../components/icon.tsx";
import { t } from "../i18n/texts.ts";
import { announce } from "../lib/announce.ts";
import { asFailure, type Failure } from "../lib/failure.ts";
import { setPassword } from "./hub.ts";
import { cameByLink, person, renew } from "./session.ts";

export const isPasswordOpen = signal(false);

/** What the hub accepts. */
const SHORTEST = 10;
const LONGEST = 128;

/** Whether the hub asks for the old one: of everybody who has one. */
function needsCurrent(): boolean {
  return person.value?.has_password ?? !cameByLink.value;
}

export function PasswordOffer() {
  const [isHidden, hide] = useState(false);
  if (!cameByLink.value || person.value?.has_password === true || isHidden) return null;
  return (
    <div class="note info">
      <Icon name="user" />
      <div class="note-text">
        <p>{t("password.offer")}</p>
      </div>
      <div class="row">
        <button type="button" class="small" onClick={() => (isPasswordOpen.value = true)}>
          {t("password.title")}
        </button>
        <button type="button" class="quiet small" onClick={() => hide(true)}>
          {t("password.later")}
        </button>
      </div>
    </div>
  );
}

export function PasswordDialog() {
  const [current, next] = [useId(), useId()];
  const [old, setOld] = useState("");
  const [wanted, setWanted] = useState("");
  const [isSeen, see] = useState(false);
  const [fault, setFault] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  if (!isPasswordOpen.value) return null;
  const close = (): void => {
    isPasswordOpen.value = false;
    setOld("");
    setWanted("");
    setFailure(null);
  };
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const length = Array.from(wanted).length;
    setFault(length < SHORTEST || length > LONGEST);
    if (length < SHORTEST || length > LONGEST) return;
    try {
      await renew(() => setPassword(wanted, needsCurrent() ? old : null));
      if (person.peek() !== null) person.value = { ...person.peek()!, has_password: true };
      announce(t("password.done"));
      close();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <Dialog title={t("password.title")} onClose={close}>
      <form noValidate onSubmit={(event) => void save(event)}>
        <input type="text" autoComplete="username" value={person.value?.handle} hidden readOnly />
        {needsCurrent() && (
          <div class="field">
            <label for={current}>{t("password.current")}</label>
            <input id={current} type="password" autoComplete="current-password" value={old} onInput={(event) => setOld(event.currentTarget.value)} />
          </div>
        )}
        <div class="field">
          <label for={next}>{t("password.new")}</label>
          <input
            id={next}
            {...({ type: isSeen ? "text" : "password" } as { type: "password" })}
            autoComplete="new-password"
            value={wanted}
            aria-invalid={fault ? "true" : undefined}
            aria-describedby={`${next}-hint`}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
          <p class={fault ? "fault" : "hint"} id={`${next}-hint`}>
            {t("password.rule", { min: SHORTEST, max: LONGEST })}
          </p>
        </div>
        <label class="check">
          <input type="checkbox" checked={isSeen} onChange={(event) => see(event.currentTarget.checked)} />
          <span>{t("password.see")}</span>
        </label>
        {failure !== null && <ErrorNote failure={failure} />}
        <div class="row">
          <button type="submit" class="primary">
            {t("password.save")}
          </button>
          <button type="button" onClick={close}>
            {t("close")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
