/** Footage: what is there, and one clip with its times. */

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { bytes, many } from "../core/money";
import { address } from "../core/route";
import { span } from "../core/time";
import { clipState, kindWords } from "../core/words";
import { get } from "../io/api";
import { route } from "../io/router";
import { whyNot } from "../io/session";
import { thumbs } from "../io/prefs";
import { alertsChanged, cameras, demo, status } from "../io/store";
import type { Alert, Clip } from "../io/types";
import { At, Empty, Facts, Icon, Severity, State, Trouble } from "../ui/bits";
import { useLoad } from "../ui/load";
import { address as picture, film, sheet } from "../player/urls";
import { Footage } from "./footage";

const MOST = 1_000;
/** Cards drawn at first, and more with each wish. */
const STEP = 60;

function severityOf(score: number): string {
  return score < 0.3 ? "low" : score < 0.5 ? "medium" : score < 0.7 ? "high" : "critical";
}

export function Clips(): JSX.Element {
  const { id } = route.value;
  return id ? <OneClip id={id} /> : <ClipList />;
}

function ClipList(): JSX.Element {
  const blocked = whyNot("footage");
  const all = useLoad<Clip[]>(blocked ? null : "clips", (signal) => get<Clip[]>(`/api/clips?limit=${MOST}`, { signal }));
  const [kind, setKind] = useState("");
  const [state, setState] = useState("there");
  const [words, setWords] = useState("");
  const [drawn, setDrawn] = useState(STEP);
  const recording = all.value?.some((clip) => clip.state === "recording") ?? false;
  useEffect(() => {
    if (alertsChanged.value > 0) all.again();
  }, [alertsChanged.value]);
  useEffect(() => {
    if (!recording) return;
    const timer = setTimeout(all.again, 3_000);
    return () => clearTimeout(timer);
  }, [recording, all.value]);
  const kinds = useMemo(() => [...new Set((all.value ?? []).map((clip) => clip.kind))].sort(), [all.value]);
  const shown = (all.value ?? []).filter((clip) => {
    if (kind && clip.kind !== kind) return false;
    if (state === "there" && (clip.state === "dropped" || clip.state === "empty")) return false;
    if (state === "held" && !clip.held) return false;
    if (state === "open" && (clip.reviewed || clip.state === "dropped")) return false;
    if (state === "dropped" && clip.state !== "dropped") return false;
    const text = `${clip.staff_id ?? ""} ${clip.kind} ${kindWords(clip.kind)} ${clip.cameras.map((of) => of.name).join(" ")}`.toLowerCase();
    return words === "" || text.includes(words.toLowerCase());
  });
  if (blocked) return <Empty title="Footage is not shown">{blocked}</Empty>;
  const media = status.value?.media;
  // In the demo nobody is in the pictures.
  const pictures = thumbs.value ?? demo.value;
  return (
    <div class="clips pad-view">
      <h1 class="sr">Clips</h1>
      <div class="filters" role="search">
        <input type="search" aria-label="Staff, kind or camera" placeholder="Staff, kind or camera" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        <select aria-label="Kind" value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
          <option value="">Every kind</option>
          {kinds.map((of) => (
            <option key={of} value={of}>
              {kindWords(of)}
            </option>
          ))}
        </select>
        <select aria-label="State" value={state} onChange={(event) => setState(event.currentTarget.value)}>
          <option value="there">With footage</option>
          <option value="open">Not judged yet</option>
          <option value="held">Kept by somebody</option>
          <option value="dropped">Given up</option>
          <option value="">All</option>
        </select>
        <label class="check" title="Who looks at footage is written down: every clip that is seen here too">
          <input type="checkbox" checked={pictures} onChange={(event) => (thumbs.value = event.currentTarget.checked)} /> Pictures
        </label>
        <span class="dim small" role="status">
          {all.value && many(shown.length, "clip")}
          {media && ` · ${bytes(media.used_bytes)} of ${bytes(media.budget_bytes)}`}
        </span>
      </div>
      {all.why && <Trouble again={all.again}>{all.why}</Trouble>}
      {all.value && shown.length === 0 && (
        <Empty title={all.value.length === 0 ? "No clips yet" : "No clip is like that"}>
          {cameras.value.length === 0
            ? "No camera is configured on this register. With one, footage around every alert appears here."
            : all.value.length === 0
              ? "Every alert gets its footage, from before its cause on. Nothing else is recorded."
              : "Other words, another kind or state may find some."}
        </Empty>
      )}
      <ol class={`clip-grid ${pictures ? "" : "plain"}`}>
        {shown.slice(0, drawn).map((clip) => (
          <ClipCard key={clip.clip_id} clip={clip} pictured={pictures} />
        ))}
      </ol>
      {shown.length > drawn && (
        <button type="button" onClick={() => setDrawn(drawn + STEP)}>
          Show {Math.min(STEP, shown.length - drawn)} more of {shown.length - drawn}
        </button>
      )}
    </div>
  );
}

/** The picture right at the cause says most. */
function ClipCard({ clip, pictured }: { clip: Clip; pictured: boolean }): JSX.Element {
  const camera = clip.cameras[0];
  const [failed, setFailed] = useState(false);
  const n = useMemo(() => {
    if (!camera || camera.frames === 0) return -1;
    const first = Date.parse(camera.first_at);
    const length = Date.parse(camera.last_at) - first;
    const share = length > 0 ? (Date.parse(clip.at) + 600 - first) / length : 0;
    return Math.round(Math.min(1, Math.max(0, share)) * (camera.frames - 1));
  }, [clip.version]);
  const length = span(Date.parse(clip.to) - Date.parse(clip.from));
  const there = camera !== undefined && n >= 0 && clip.state !== "dropped" && !failed;
  return (
    <li class="clip-card">
      <a href={address("clips", clip.clip_id)}>
        {pictured && <span class="thumb">
          {there ? (
            <img loading="lazy" width="640" height="480" alt="" src={picture(clip.clip_id, n, camera.camera, clip.version)} onError={() => setFailed(true)} />
          ) : (
            <span class="dim">{clipState(clip.state)}</span>
          )}
          <span class="length num">{length}</span>
        </span>}
        <span class="top">
          <b>{kindWords(clip.kind)}</b>
          <Severity of={severityOf(clip.score)} score={clip.score} bare />
        </span>
        <span class="below dim">
          <span class="cut">
            <At at={clip.at} long />
            {clip.staff_id && ` · ${clip.staff_id}`}
          </span>
          {clip.state !== "complete" && <span>{clipState(clip.state)}</span>}
          {clip.held && <span>kept</span>}
          {!pictured && <span class="num">{length}</span>}
        </span>
      </a>
    </li>
  );
}

function OneClip({ id }: { id: string }): JSX.Element {
  const asked = useLoad<Clip>(id, (signal) => get<Clip>(`/api/clips/${id}`, { signal }));
  const clip = asked.value;
  const of = clip?.alert_id ?? null;
  const alert = useLoad<Alert>(of, (signal) => get<Alert>(`/api/alerts/${of}`, { signal }));
  return (
    <div class="pad-view one-clip">
      <a class="back-link shown" href={address("clips")}>
        <Icon of="back" size={16} /> Clips
      </a>
      {asked.why && <Trouble again={asked.again}>{asked.why}</Trouble>}
      {clip && (
        <article aria-labelledby="clip-title">
          <header class="alert-head">
            <div>
              <h1 id="clip-title">{kindWords(clip.kind)}</h1>
              <p class="dim">
                <At at={clip.at} long />
                {clip.staff_id && ` · ${clip.staff_id}`} · <a href={address("alerts", clip.alert_id, { list: "all" })}>its alert</a>
              </p>
            </div>
            <Severity of={severityOf(clip.score)} score={clip.score} />
          </header>
          <Footage clipId={id} at={clip.at} evidence={alert.value?.evidence.map((one) => one.seq) ?? []} ticket={alert.value?.ticket_no ?? null} />
          <section aria-label="At one glance">
            <h2>At one glance</h2>
            <Facts
              of={[
                ["State", <State mark={clip.state === "complete" ? "ok" : "warn"}>{clipState(clip.state)}</State>],
                ["Pictures", `${many(clip.frames, "picture")}, ${bytes(clip.bytes)}`],
                ["Head office", clip.sent ? "has it" : "does not have it"],
                ["Judged", clip.reviewed ? "yes" : "not yet"],
              ]}
            />
            {clip.cameras.map((camera) => (
              <figure key={camera.camera} class="sheet">
                <img loading="lazy" src={sheet(clip.clip_id, camera.camera)} alt={`A dozen pictures of camera ${camera.name}, each with its time`} />
                <figcaption>
                  {camera.name} · <a href={film(clip.clip_id, camera.camera)} download="">film as MP4</a>
                  {camera.gaps.length > 0 && ` · ${many(camera.gaps.length, "gap")}`}
                </figcaption>
              </figure>
            ))}
          </section>
        </article>
      )}
    </div>
  );
}
