/** A part of the page that is fetched when it is needed. */

import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { words } from "../io/api";
import { Trouble } from "./bits";

export function lazy(load: () => Promise<ComponentType>): ComponentType {
  let ready: ComponentType | null = null;
  return function Lazy(): JSX.Element {
    const [, setDone] = useState(0);
    const [why, setWhy] = useState<string | null>(null);
    const fetchIt = (): void => {
      setWhy(null);
      load().then(
        (of) => {
          ready = of;
          setDone(1);
        },
        (error: unknown) => setWhy(words(error)),
      );
    };
    useEffect(() => {
      if (!ready) fetchIt();
    }, []);
    if (why) return <Trouble again={fetchIt}>A part of the page could not be fetched: {why}</Trouble>;
    const Ready = ready;
    return Ready ? <Ready /> : <p class="dim pad">One moment…</p>;
  };
}
