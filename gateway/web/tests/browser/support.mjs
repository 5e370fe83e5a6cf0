// A demo register and a browser, for the tests beside this file.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const BINARY = process.env.TILLWATCH_BIN ?? "";
const BROWSERS = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const BROWSER = BROWSERS.find((path) => path !== "" && existsSync(path)) ?? "";

/** Why the tests cannot run here; false when they can. */
export const skip =
  (BINARY === "" && "TILLWATCH_BIN names no program") || (BROWSER === "" && "there is no Chromium here") || false;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Waits for something, with a limit. */
export async function until(what, holds, ms = 20_000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await holds();
      if (last) return last;
    } catch (why) {
      last = why;
    }
    if (Date.now() > end) throw new Error(`${what} did not come within ${ms} ms; last: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * A register that plays its demo day; with a configuration a real one, without any device. `folder`
 * and `listen` are given to start one again where it was: such a folder stays when it stops.
 */
export async function register(config = null, { folder: given = null, listen = "127.0.0.1:0" } = {}) {
  const folder = given ?? mkdtempSync(join(tmpdir(), "tillwatch-page-"));
  const file = config === null ? [] : ["--config", join(folder, "tillwatch.toml")];
  if (config !== null) writeFileSync(join(folder, "tillwatch.toml"), config);
  // Every variable of this kind would be a key of its configuration.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TILLWATCH_")));
  const program = spawn(BINARY, ["--listen", listen, "--data", join(folder, "data"), ...file], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  program.stdout.on("data", (bytes) => (said += bytes));
  program.stderr.on("data", (bytes) => (said += bytes));
  const ended = new Promise((resolve) => program.on("exit", resolve));
  const plain = () => said.replace(/\u001b\[[0-9;]*m/g, "");
  const url = await until("the page's address", () => {
    const [, scheme, address] = /^API: +(https?):\/\/([\d.]+:\d+)/m.exec(plain()) ?? [];
    return address ? `${scheme}://${address}` : null;
  }).catch((why) => {
    program.kill("SIGKILL");
    throw new Error(`${why.message}\n${plain()}`);
  });
  const get = async (path) => (await fetch(url + path)).json();
  return {
    url,
    get,
    folder,
    said: plain,
    /** The newest alert of a kind whose clip is complete. */
    alert: (kind) =>
      until(
        `an alert about ${kind} with its clip`,
        async () => {
          const clips = await get("/api/clips");
          const clip = clips.find((of) => of.kind === kind && of.state === "complete");
          return clip ? { ...(await get(`/api/alerts/${clip.alert_id}`)), clip } : null;
        },
        90_000,
      ),
    stop: async () => {
      program.kill("SIGTERM");
      const timer = setTimeout(() => program.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
      if (given === null) rmSync(folder, { recursive: true, force: true });
    },
    /** As when somebody pulls the plug. */
    kill: async () => {
      program.kill("SIGKILL");
      await ended;
    },
  };
}

export function browser() {
  return chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--force-color-profile=srgb"] });
}

/**
 * A page that remembers what went wrong in it. A failed request that a test makes on purpose is
 * named by `expected`.
 */
export async function open(context, url, expected = /^$/) {
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (why) => wrong.push(why.message));
  page.on("console", (message) => {
    const from = message.location().url ?? "";
    if (message.type() === "error" && !expected.test(from)) wrong.push(`${message.text()} ${from}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  await page.waitForSelector("main");
  return { page, wrong };
}

/** What axe finds that is serious, in words. */
export async function seriousFindings(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    // eslint-disable-next-line no-undef
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }),
  );
  return violations
    .filter((of) => of.impact === "serious" || of.impact === "critical")
    .map((of) => `${of.id}: ${of.nodes.map((node) => `${node.target} ${node.failureSummary?.replace(/\s+/g, " ")}`).slice(0, 3).join(" | ")}`);
}
