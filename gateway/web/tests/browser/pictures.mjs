// The pictures of the README, from the demo as it runs: TILLWATCH_BIN=PROGRAM node tests/browser/pictures.mjs
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BINARY, browser, register, until } from "./support.mjs";

const QUALITY = 78;
const MOST_BYTES = 300_000;
const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../guide/pictures");

if (BINARY === "") throw new Error("TILLWATCH_BIN names no program");
mkdirSync(folder, { recursive: true });
const shop = await register();
const chrome = await browser();
let total = 0;

async function take(page, name) {
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
  const bytes = Buffer.from(data, "base64");
  total += bytes.length;
  writeFileSync(join(folder, `${name}.webp`), bytes);
  console.log(`${name}.webp: ${bytes.length} bytes`);
}

try {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  const page = await context.newPage();
  // A day has been played, and the next one has begun: something of everything is there.
  await shop.alert("suppressed");
  const forced = await shop.alert("forced");
  // The second void of one person: a score that has something to explain.
  const again = await until("the second void", async () => (await shop.get("/api/clips")).find((of) => of.kind === "void" && of.score > 0.6 && of.state === "complete"));
  await page.goto(`${shop.url}/alerts/${again.alert_id}`);
  await page.waitForSelector(".paper button");
  await page.waitForSelector("canvas[data-frame]");
  const line = page.locator(".paper li", { hasText: "TRANSACTION VOID" }).first().locator("button");
  await line.click();
  await page.mouse.move(0, 0);
  await until("the picture of that line", async () => Number(await page.getAttribute("canvas[data-frame]", "data-frame")) > 0);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await take(page, "alert");
  await page.goto(shop.url);
  await page.waitForSelector(`.alert-lines a[href*="${forced.alert_id}"]`);
  await page.waitForSelector(".events.live li");
  await until("the camera", () => page.$eval(".snapshot img", (of) => of.complete && of.naturalWidth > 0));
  await take(page, "now");
  if (total > MOST_BYTES) throw new Error(`${total} bytes of pictures are more than ${MOST_BYTES}`);
} finally {
  await chrome.close();
  await shop.stop();
}
