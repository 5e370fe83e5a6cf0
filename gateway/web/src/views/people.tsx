/** Who may come in, and who did what. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { roleWords } from "../core/words";
import { Failure, change, get, words } from "../io/api";
import { session } from "../io/session";
import type { Login, Look } from "../io/types";
import { Act, At, Empty, Trouble } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { useLoad } from "../ui/load";
import { say } from "../ui/toast";

const ROLES = ["manager", "loss-prevention", "technician"];
const ROLE_MEANS: Record<string, string> = {
  manager: "everything, logins too",
  "loss-prevention": "looks, judges, sees footage and who saw it",
  technician: "looks, and sees how the box works; no footage, no verdicts",
};
const PAGE = 50;

/** A program without logins, or a demo: there is nothing to manage. */
function absent(error: unknown): boolean {
  return error instanceof Failure && error.status === 404;
}

export function Logins(): JSX.Element | null {
  const asked = useLoad<Login[]>(session.value?.demo ? null : "logins", (signal) => get<Login[]>("/api/logins", { signal }));
  const [form, setForm] = useState<Login | "new" | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  if (session.value?.demo || absent(asked.error)) return null;
  const managers = (asked.value ?? []).filter((login) => login.role === "manager").length;
  const remove = (login: Login): void => {
    setWhy(null);
    get<unknown>(`/api/logins/${encodeURIComponent(login.name)}`, { method: "DELETE" })
      .then(() => {
        say(`${login.name} may not come in any more.`);
        asked.again();
      })
      .catch((error: unknown) => setWhy(words(error)));
  };
  return (
    <section class="card" aria-label="Logins">
      <header class="row between">
        <h2>Logins</h2>
        <button type="button" onClick={() => setForm("new")}>
          New login
        </button>
      </header>
      {(why ?? asked.why) && <Trouble again={asked.again}>{why ?? asked.why}</Trouble>}
      {asked.value?.length === 0 && <Empty title="No logins yet">The first one is a manager's; from then on the page asks who somebody is.</Empty>}
      <table class="list">
        <tbody>
          {(asked.value ?? []).map((login) => (
            <tr key={login.name}>
              <th scope="row">{login.name}</th>
              <td>{roleWords(login.role)}</td>
              <td class="dim">{login.last ? <>last here <At at={login.last} long /></> : "was never here"}</td>
              <td class="row end">
                <button type="button" class="quiet small" onClick={() => setForm(login)}>
                  Change<span class="sr"> {login.name}</span>
                </button>
                <Act class="quiet small" not={login.role === "manager" && managers === 1 ? "The last manager stays: somebody has to make logins." : null} onClick={() => remove(login)}>
                  Remove<span class="sr"> {login.name}</span>
                </Act>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {form && (
        <LoginDialog
          of={form === "new" ? null : form}
          onClose={() => setForm(null)}
          onDone={() => {
            setForm(null);
            asked.again();
          }}
        />
      )}
    </section>
  );
}

function LoginDialog({ of, onClose, onDone }: { of: Login | null; onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = useState(of?.name ?? "");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState(of?.role ?? "loss-prevention");
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const save = (): void => {
    setBusy(true);
    setWhy(null);
    const done = of
      ? change<unknown>("PUT", `/api/logins/${encodeURIComponent(of.name)}`, { role, ...(password ? { password } : {}) })
      : change<unknown>("POST", "/api/logins", { name, password, role });
    done
      .then(() => {
        say(of ? `${of.name} is changed.` : `${name} may come in.`);
        onDone();
      })
      .catch((error: unknown) => setWhy(words(error)))
      .finally(() => setBusy(false));
  };
  return (
    <Dialog title={of ? `Change ${of.name}` : "New login"} onClose={onClose}>
      <form
        class="login-form"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        {!of && (
          <p class="field">
            <label for="login-name">Name</label>
            <input id="login-name" required value={name} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
          </p>
        )}
        <p class="field">
          <label for="login-password">{of ? "New password, if it should change" : "Password"}</label>
          <input id="login-password" type="password" autocomplete="new-password" minLength={8} required={!of} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
        </p>
        <fieldset>
          <legend>Role</legend>
          {ROLES.map((one) => (
            <label key={one} class="check">
              <input type="radio" name="role" checked={role === one} onChange={() => setRole(one)} />
              <span>
                {roleWords(one)} <span class="dim small">{ROLE_MEANS[one]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {why && <Trouble>{why}</Trouble>}
        <div class="row end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="main" disabled={busy}>
            {busy ? "Saving…" : "Save"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const LOOKS: Record<string, string> = {
  frames: "played",
  sheet: "saw at one glance",
  stream: "watched",
  video: "downloaded the film",
  still: "saw a picture",
  export: "exported",
  snapshot: "saw live",
};

/** Every look at footage: who, what, from where. */
export function AuditLog(): JSX.Element | null {
  const [older, setOlder] = useState<Look[]>([]);
  const [end, setEnd] = useState(false);
  const asked = useLoad<Look[]>("audit", (signal) => get<Look[]>(`/api/audit?limit=${PAGE}`, { signal }));
  if (absent(asked.error)) return null;
  const all = [...(asked.value ?? []), ...older];
  const more = (): void => {
    get<Look[]>(`/api/audit?limit=${PAGE}&before=${all[all.length - 1]?.seq ?? ""}`).then(
      (page) => {
        setOlder([...older, ...page]);
        if (page.length < PAGE) setEnd(true);
      },
      (error: unknown) => say(words(error)),
    );
  };
  return (
    <section class="card" aria-label="Who saw footage">
      <header class="row between">
        <h2>Who saw footage</h2>
        <span class="dim small">one line stands for ten minutes of the same</span>
      </header>
      {asked.why && <Trouble again={asked.again}>{asked.why}</Trouble>}
      {asked.value?.length === 0 && <Empty title="Nobody yet">Every look at footage is written down before the first picture is shown: who, from where, what.</Empty>}
      <table class="list">
        <tbody>
          {all.map((look) => (
            <tr key={look.seq}>
              <td>
                <At at={look.at} long />
              </td>
              <th scope="row">
                {look.who} {look.role && <span class="dim plain">{roleWords(look.role)}</span>}
              </th>
              <td>
                {LOOKS[look.what] ?? look.what} {look.clip && <a href={`/clips/${look.clip}`}>a clip</a>} <span class="dim">of {look.camera}</span>
              </td>
              <td class="dim cut">{look.from}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {asked.value?.length === PAGE && !end && (
        <button type="button" class="quiet" onClick={more}>
          Show older ones
        </button>
      )}
    </section>
  );
}
