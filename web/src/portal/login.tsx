/** Logging in, by a one-time link or by name and password. */

import { useEffect, useId, useState } from "preact/hooks";

import { ErrorNote, sentence } from "../components/error_note.tsx";
import { Icon } from "../components/icon.tsx";
import { t } from "../i18n/texts.ts";
import { asFailure, Failure } from "../lib/failure.ts";
import { Appearance, Brand } from "./header.tsx";
import { logIn, logInByLink } from "./hub.ts";
import { access, cameByLink, enterNow, findOut, org, person } from "./session.ts";

/** What is remembered for the next time, and no secret. */
const REMEMBERED = "hub.portal.login";

function remembered(): { org: string; handle: string } {
  try {
    const read = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") as Record<string, unknown>;
    return { org: typeof read["org"] === "string" ? read["org"] : "", handle: typeof read["handle"] === "string" ? read["handle"] : "" };
  } catch {
    return { org: "", handle: "" };
  }
}

function remember(org: string, handle: string): void {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify({ org, handle }));
  } catch {
    // It is typed again next time.
  }
}

/** The code in what somebody pasted: a link with it, or the code alone. */
function codeIn(pasted: string): string {
  return /[?&]code=([^&#\s]+)/.exec(pasted)?.[1] ?? pasted.trim();
}

/** What is wrong, for people who log in. */
function LoginFault({ failure, isLink }: { failure: Failure; isLink: boolean }) {
  if (failure.isPassing) return <ErrorNote failure={failure} />;
  return (
    <div class="note danger" role="alert">
      <Icon name="alert" />
      <p>{failure.code === "COOKIE" ? failure.message : isLink ? t("login.used") : failure.status === 401 || failure.status === 403 ? t("login.wrong") : sentence(failure)}</p>
    </div>
  );
}

interface FormProps {
  onDone: () => Promise<void>;
}

function PasswordForm({ onDone }: FormProps) {
  const known = remembered();
  const [orgId, setOrgId] = useState(new URLSearchParams(location.search).get("org_id") ?? known.org);
  const [handle, setHandle] = useState(new URLSearchParams(location.search).get("responder_id") ?? known.handle);
  const [password, setPassword] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [orgField, handleField, passwordField] = [useId(), useId(), useId()];
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await logIn(orgId.trim(), handle.trim(), password);
      await onDone();
    } catch (error) {
      setFailure(asFailure(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <div class="field">
        <label for={orgField}>{t("login.org")}</label>
        <input id={orgField} class="mono" required autoComplete="organization" spellcheck={false} value={orgId} onInput={(event) => setOrgId(event.currentTarget.value)} />
      </div>
      <div class="field">
        <label for={handleField}>{t("login.handle")}</label>
        <input id={handleField} required autoComplete="username" spellcheck={false} value={handle} onInput={(event) => setHandle(event.currentTarget.value)} />
      </div>
      <div class="field">
        <label for={passwordField}>{t("login.password")}</label>
        <input id={passwordField} type="password" required autoComplete="current-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      </div>
      {failure !== null && <LoginFault failure={failure} isLink={false} />}
      <button type="submit" class="primary wide" disabled={isBusy}>
        {t("login.submit")}
      </button>
    </form>
  );
}

function LinkForm({ onCode }: { onCode: (code: string) => void }) {
  const [pasted, paste] = useState("");
  const id = useId();
  return (
    <details class="fold">
      <summary>
        <Icon name="chevron" />
        {t("login.have_link")}
      </summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (codeIn(pasted) !== "") onCode(codeIn(pasted));
        }}
      >
        <div class="field">
          <label for={id}>{t("login.paste")}</label>
          <input id={id} class="mono" autoComplete="off" spellcheck={false} value={pasted} onInput={(event) => paste(event.currentTarget.value)} />
        </div>
        <button type="submit">{t("login.use_link")}</button>
      </form>
    </details>
  );
}

/** `code` is that of the link by which somebody came. */
export function Login({ code, onIn }: { code: string | null; onIn: () => void }) {
  const [isTrying, setTrying] = useState(code !== null);
  const [failed, setFailed] = useState<{ failure: Failure; code: string } | null>(null);
  const done = async (): Promise<void> => {
    if (!(await enterNow())) throw new Failure(400, t("login.cookie"), "COOKIE");
    remember(org.peek() ?? "", person.peek()?.handle ?? "");
    onIn();
  };
  const tryCode = async (one: string): Promise<void> => {
    setTrying(true);
    setFailed(null);
    try {
      await logInByLink(one);
      cameByLink.value = true;
      await done();
    } catch (error) {
      setFailed({ failure: asFailure(error), code: one });
      // Somebody may be logged in all the same.
      await findOut();
    } finally {
      setTrying(false);
    }
  };
  useEffect(() => {
    if (code !== null) void tryCode(code);
  }, []);
  return (
    <div class="login">
      <main id="main">
        <div class="login-card">
          <Brand />
          <h1 tabIndex={-1}>{t("login.title")}</h1>
          <p class="muted">{t("login.purpose")}</p>
          {access.value === "ended" && <p class="note info">{t("login.ended")}</p>}
          {access.value === "unreachable" && (
            <div class="note danger" role="alert">
              <Icon name="alert" />
              <div>
                <p>{t("failure.unreachable")}</p>
                <button type="button" class="small" onClick={() => void findOut()}>
                  {t("retry")}
                </button>
              </div>
            </div>
          )}
          {failed !== null && <LoginFault failure={failed.failure} isLink />}
          {failed?.failure.isPassing === true && (
            <button type="button" class="wide" onClick={() => void tryCode(failed.code)}>
              {t("retry")}
            </button>
          )}
          {failed !== null && access.value === "in" && (
            <button type="button" class="wide" onClick={onIn}>
              {t("login.continue", { who: person.value?.handle ?? "" })}
            </button>
          )}
          {isTrying ? (
            <p role="status">{t("login.trying")}</p>
          ) : (
            <>
              <PasswordForm onDone={done} />
              <LinkForm onCode={(one) => void tryCode(one)} />
              <p class="hint">{t("login.help")}</p>
            </>
          )}
        </div>
      </main>
      <footer class="appearance">
        <Appearance />
      </footer>
    </div>
  );
}
