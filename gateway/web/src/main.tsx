import "./style/base.css";
import "./style/parts.css";
import "./style/views.css";
import { render, type ComponentType, type JSX } from "preact";
import { lazy } from "./ui/lazy";
import type { View } from "./core/route";
import { start } from "./io/live";
import { applyTheme } from "./io/prefs";
import { route, startRouter } from "./io/router";
import { loadSession, loginNeeded, session, sessionProblem, watchIdle } from "./io/session";
import { Trouble } from "./ui/bits";
import { startKeys } from "./ui/keys";
import { LoginPage, SetUp } from "./ui/login";
import { Shell } from "./ui/shell";
import { Alerts } from "./views/alerts";
import { Clips } from "./views/clips";
import { Now } from "./views/now";
import { Receipts } from "./views/receipts";
import { System } from "./views/system";

// Plots are only there.
const Day = lazy(() => import("./views/day").then((of) => of.Day));

const SHOWN: Record<View, ComponentType> = { now: Now, alerts: Alerts, receipts: Receipts, day: Day, clips: Clips, system: System };

let started = false;

function Page(): JSX.Element {
  if (sessionProblem.value && !session.value) {
    return (
      <main class="login" id="main">
        <h1>Tillwatch</h1>
        <Trouble again={() => void loadSession()}>{sessionProblem.value}</Trouble>
      </main>
    );
  }
  if (!session.value) return <main id="main" aria-busy="true" />;
  if (loginNeeded.value) return <LoginPage />;
  // From the network nothing is shown before the first login is made.
  if (session.value.login === "setup" && !session.value.rights.includes("look")) {
    return (
      <main class="login" id="main">
        <h1>Tillwatch</h1>
        <SetUp />
      </main>
    );
  }
  if (!started) {
    started = true;
    start();
  }
  const View = SHOWN[route.value.view];
  return (
    <Shell>
      <View />
    </Shell>
  );
}

applyTheme();
startRouter();
startKeys();
watchIdle();
void loadSession();
const place = document.getElementById("page");
if (place) render(<Page />, place);
