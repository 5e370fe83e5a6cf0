/** What the demo plays: five stories, and where to see them. */

import type { JSX } from "preact";
import { address } from "../core/route";
import { tourSeen } from "../io/prefs";
import { newest } from "../io/store";
import { Ago, Icon } from "../ui/bits";

const STORIES: { title: string; kinds: string[]; text: string }[] = [
  { title: "An ordinary sale", kinds: [], text: "Payment, receipt, kick, drawer, change: all witnesses agree, and nothing is raised." },
  { title: "Two voids by one person", kinds: ["void"], text: "The second one within seconds weighs more: 0.40, then 0.70." },
  { title: "A payment without paper", kinds: ["suppressed"], text: "The till says paid, the printer is ready and prints nothing for 30 seconds." },
  { title: "A drawer forced open", kinds: ["forced"], text: "It opens, and nothing kicked it: no pulse on the line, no command on the wire." },
  { title: "A drawer without a sale", kinds: ["no_sale"], text: "Kicked by the no-sale key; nothing is sold 10 seconds before or 20 after." },
];

export function Tour(): JSX.Element {
  return (
    <section class="card tour" aria-label="What you see here">
      <header class="row between">
        <h2>What you see here</h2>
        <button type="button" class="icon-only" aria-label="Do not show this any more" title="Do not show this any more" onClick={() => (tourSeen.value = true)}>
          <Icon of="close" size={16} />
        </button>
      </header>
      <p class="dim">A short day at a simulated register, over and over: every minute and a half these five stories.</p>
      <ol>
        {STORIES.map((story) => {
          const seen = newest.value?.find((alert) => story.kinds.includes(alert.kind));
          return (
            <li key={story.title}>
              <h3>{story.title}</h3>
              <p class="small">{story.text}</p>
              <p class="small">
                {story.kinds.length === 0 ? (
                  <span class="dim">no alert: that is the point</span>
                ) : seen ? (
                  <a href={address("alerts", seen.alert_id)}>
                    seen <Ago at={seen.at} />
                  </a>
                ) : (
                  <span class="dim">not played yet</span>
                )}
              </p>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
