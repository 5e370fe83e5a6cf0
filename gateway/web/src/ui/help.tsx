/** What the keys do. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { keysOn } from "../io/prefs";
import { Dialog } from "./dialog";
import { groups, keyName } from "./keys";

export const helpOpen = signal(false);

export function Help(): JSX.Element | null {
  if (!helpOpen.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (helpOpen.value = false)} class="help">
      <label class="check">
        <input type="checkbox" checked={keysOn.value} onChange={(event) => (keysOn.value = event.currentTarget.checked)} />
        Single keys are commands
      </label>
      <div class="key-groups">
        {[...groups.value].reverse().map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.commands.map((command) => (
                <div key={command.words}>
                  <dt>
                    {command.keys.map((key) => (
                      <kbd key={key}>{keyName(key)}</kbd>
                    ))}
                  </dt>
                  <dd>{command.words}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
