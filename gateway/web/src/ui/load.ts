/** Something that is asked for while a component is shown. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { words } from "../io/api";

export interface Loaded<T> {
  value: T | null;
  why: string | null;
  /** The failure itself, for those who tell kinds apart. */
  error: unknown;
  busy: boolean;
  again: () => void;
}

/** Asks whenever `key` changes, and again on demand; what was asked for before is given up. */
export function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; value: T | null; error: unknown; busy: boolean }>({
    key: null,
    value: null,
    error: null,
    busy: key !== null,
  });
  const [turn, setTurn] = useState(0);
  const newest = useRef(load);
  newest.current = load;
  useEffect(() => {
    if (key === null) {
      setState({ key, value: null, error: null, busy: false });
      return;
    }
    const request = new AbortController();
    setState((old) => ({ ...old, value: old.key === key ? old.value : null, key, busy: true, error: null }));
    newest.current(request.signal).then(
      (value) => {
        if (!request.signal.aborted) setState({ key, value, error: null, busy: false });
      },
      (error: unknown) => {
        if (!request.signal.aborted) setState((old) => ({ ...old, error, busy: false }));
      },
    );
    return () => request.abort();
  }, [key, turn]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  const fits = state.key === key;
  return {
    value: fits ? state.value : null,
    error: fits ? state.error : null,
    why: fits && state.error ? words(state.error) : null,
    busy: state.busy || !fits,
    again,
  };
}
