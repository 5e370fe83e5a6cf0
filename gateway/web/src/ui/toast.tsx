/** One short message at the bottom, with a way back. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";

interface Toast {
  text: string;
  action?: { words: string; run: () => void };
}

const toast = signal<Toast | null>(null);
let gone: ReturnType<typeof setTimeout> | null = null;

export function say(text: string, action?: Toast["action"]): void {
  toast.value = action ? { text, action } : { text };
  if (gone) clearTimeout(gone);
  gone = setTimeout(() => {
    toast.value = null;
  }, 8_000);
}

/** The region is always there, so that what appears in it is read out. */
export function Toaster(): JSX.Element {
  const now = toast.value;
  return (
    <div class="toaster" role="status" aria-live="polite">
      {now && (
        <div class="toast">
          <span>{now.text}</span>
          {now.action && (
            <button
              type="button"
              onClick={() => {
                now.action?.run();
                toast.value = null;
              }}
            >
              {now.action.words}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
