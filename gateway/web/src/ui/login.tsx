/** Logging in, the first login of all, and coming back in the middle of work. */

import type { InputHTMLAttributes, JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { Failure, words } from "../io/api";
import { expired, login, session, setUp, setupPutOff } from "../io/session";
import { Trouble } from "./bits";
import { Dialog } from "./dialog";

function usePending(): [boolean, string | null, (work: () => Promise<void>) => void] {
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState<string | null>(null);
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    setWhy(null);
    work()
      .catch((error: unknown) => {
        const wait = error instanceof Failure && error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
        setWhy(words(error) + wait);
      })
      .finally(() => setBusy(false));
  };
  return [busy, why, run];
}

function Field(props: InputHTMLAttributes<HTMLInputElement> & { label: string; hint?: string }): JSX.Element {
  const { label, hint, ...rest } = props;
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <input id={id} {...rest} aria-describedby={hint ? `${id}-hint` : undefined} />
      {hint && (
        <small id={`${id}-hint`} class="dim">
          {hint}
        </small>
      )}
    </p>
  );
}

export function LoginForm({ known }: { known?: string | undefined }): JSX.Element {
  const [name, setName] = useState(known ?? "");
  const [password, setPassword] = useState("");
  const [busy, why, run] = usePending();
  return (
    <form
      class="login-form"
      onSubmit={(event) => {
        event.preventDefault();
        run(async () => {
          await login(name, password);
        });
      }}
    >
      <Field label="Name" name="username" autocomplete="username" required value={name} autofocus={!known} onInput={(e) => setName(e.currentTarget.value)} />
      <Field label="Password" name="password" type="password" autocomplete="current-password" required value={password} autofocus={!!known} onInput={(e) => setPassword(e.currentTarget.value)} />
      {why && <Trouble>{why}</Trouble>}
      <button type="submit" class="main" disabled={busy}>
        {busy ? "Logging in…" : "Log in"}
      </button>
    </form>
  );
}

/** The whole page while nobody is logged in. */
export function LoginPage(): JSX.Element {
  return (
    <main class="login" id="main">
      <img src="/icon.svg" width="48" height="48" alt="" />
      <h1>Tillwatch</h1>
      <p class="dim">This register's page asks who you are.</p>
      <LoginForm />
    </main>
  );
}

/** Above the work when the session ended: nothing that was typed is lost. */
export function Expired(): JSX.Element | null {
  if (!expired.value) return null;
  return (
    <Dialog title="Please log in again" class="covers">
      <p>Your session has ended. What you typed is still here, and goes on as soon as you are back.</p>
      <LoginForm known={session.value?.user?.name} />
    </Dialog>
  );
}

/** The first login of all. */
export function SetUp(): JSX.Element | null {
  const now = session.value;
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [busy, why, run] = usePending();
  if (now?.login !== "setup" || setupPutOff.value) return null;
  const form = (
    <form
      class="login-form"
      onSubmit={(event) => {
        event.preventDefault();
        run(async () => {
          await setUp(name, password, now.code_needed ? code : null);
        });
      }}
    >
      <p>The first login is a manager's. From then on the page asks for one, here and from the network.</p>
      <Field label="Your name" name="username" autocomplete="username" required value={name} autofocus onInput={(e) => setName(e.currentTarget.value)} />
      <Field label="Password" name="password" type="password" autocomplete="new-password" required minLength={8} hint="At least 8 characters; a few words in a row are easy to keep in mind." value={password} onInput={(e) => setPassword(e.currentTarget.value)} />
      {now.code_needed && <Field label="Code" name="code" autocomplete="one-time-code" required hint="`tillwatch status` on the register shows it." value={code} onInput={(e) => setCode(e.currentTarget.value)} />}
      {why && <Trouble>{why}</Trouble>}
      <div class="row end">
        {now.rights.includes("look") && (
          <button
            type="button"
            onClick={() => {
              setOpen(false);
              setupPutOff.value = true;
            }}
          >
            Not now
          </button>
        )}
        <button type="submit" class="main" disabled={busy}>
          {busy ? "Making the login…" : "Make the login"}
        </button>
      </div>
    </form>
  );
  // From the network nothing is shown before.
  if (!now.rights.includes("look")) {
    return (
      <Dialog title="Set up this register">{form}</Dialog>
    );
  }
  return (
    <>
      <div class="strip" role="region" aria-label="First login">
        <span>Nobody has a login yet: whoever sits at this box sees and may do everything.</span>
        <span class="row">
          <button type="button" class="quiet" onClick={() => setOpen(true)}>
            Make the first login
          </button>
          <button type="button" class="quiet" onClick={() => (setupPutOff.value = true)}>
            Not now
          </button>
        </span>
      </div>
      {open && (
        <Dialog title="Set up this register" onClose={() => setOpen(false)}>
          {form}
        </Dialog>
      )}
    </>
  );
}
