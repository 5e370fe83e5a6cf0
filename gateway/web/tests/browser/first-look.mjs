// What a newcomer waits for: TILLWATCH_BIN=PROGRAM node tests/browser/first-look.mjs [TIMES]
// From the start of the demo to the page, the first alert on it, and the first clip that plays.
import { BINARY, browser, register, until } from "./support.mjs";

const times = Number(process.argv[2] ?? 3);
if (BINARY === "") throw new Error("TILLWATCH_BIN names no program");
const chrome = await browser();
const seconds = (ms) => (ms / 1_000).toFixed(1).padStart(5);
const WIDE = { viewport: { width: 1366, height: 860 } };

async function look() {
  const began = Date.now();
  const shop = await register();
  try {
    const page = await (await chrome.newContext(WIDE)).newPage();
    const passed = () => seconds(Date.now() - began);
    await page.goto(shop.url);
    await page.waitForSelector(".witness.up");
    const useful = passed();
    await page.waitForSelector(".alert-lines a", { timeout: 60_000 });
    const alerted = passed();
    await page.click(".alert-lines a");
    await page.waitForSelector(".points li");
    const explained = passed();
    await page.waitForSelector("canvas[data-frame]", { timeout: 60_000 });
    const frame = async () => Number(await page.getAttribute("canvas[data-frame]", "data-frame"));
    const first = await frame();
    await page.keyboard.press(" ");
    await until("another picture", async () => (await frame()) > first);
    console.log(`page ${useful} s, first alert ${alerted} s, explained ${explained} s, its clip plays ${passed()} s`);
  } finally {
    await shop.stop();
  }
}

try {
  for (let n = 0; n < times; n++) await look();
} finally {
  await chrome.close();
}
