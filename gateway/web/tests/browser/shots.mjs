// Pictures of every view for eyes: node tests/browser/shots.mjs URL FOLDER
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, folder, only] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const get = async (path) => (await fetch(url + path)).json();
const alerts = await get("/api/alerts?limit=50");
const find = (kind) => alerts.find((alert) => alert.kind === kind && Date.now() - Date.parse(alert.at) > 15_000) ?? alerts[0];
const views = {
  now: "/",
  alerts: `/alerts/${find("void")?.alert_id}?list=all`,
  suppressed: `/alerts/${find("suppressed")?.alert_id}?list=all`,
  list: "/alerts",
  receipts: "/receipts?q=milk",
  day: "/day",
  clips: "/clips",
  clip: `/clips/${find("forced")?.clip_id}`,
  system: "/system",
};
const forms = {
  light: { viewport: { width: 1366, height: 860 }, colorScheme: "light" },
  dark: { viewport: { width: 1366, height: 860 }, colorScheme: "dark" },
  phone: { viewport: { width: 360, height: 740 }, colorScheme: "light", deviceScaleFactor: 2, hasTouch: true, isMobile: true },
};
for (const [form, options] of Object.entries(forms)) {
  const context = await browser.newContext(options);
  for (const [name, path] of Object.entries(views)) {
    if (only && !`${name}-${form}`.match(only)) continue;
    const page = await context.newPage();
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && console.log(form, name, message.text()));
    page.on("pageerror", (why) => console.log(form, name, "ERROR", why.message));
    await page.goto(url + path, { waitUntil: "load" });
    await page.waitForTimeout(2500);
    await page.screenshot({ path: join(folder, `${name}-${form}.png`) });
    await page.close();
  }
  await context.close();
}
await browser.close();
