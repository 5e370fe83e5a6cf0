/** A modal dialog: the browser's own, which keeps the focus and gives it back. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./bits";

interface Props {
  title: string;
  children: ComponentChildren;
  /** Without, it cannot be left. */
  onClose?: () => void;
  class?: string;
}

export function Dialog({ title, children, onClose, class: name }: Props): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={box}
      class={name ?? ""}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onClick={(event) => {
        if (event.target === box.current) onClose?.();
      }}
    >
      <div class="dialog-in">
        <header>
          <h2 id={id}>{title}</h2>
          {onClose && (
            <button type="button" class="icon-only" aria-label="Close" onClick={onClose}>
              <Icon of="close" />
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}
