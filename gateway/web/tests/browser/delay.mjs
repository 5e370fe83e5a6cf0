// From a till's message to its alert on the page, and beside it from there to an answer of the
// register's API: TILLWATCH_BIN=PROGRAM node tests/browser/delay.mjs [ALERTS]
//
// A real register on a real Mosquitto, the page open on Now. Counted from the moment at which the
// till's client hands over the bytes to the moment at which the browser has drawn the alert: as an
// event, and as a line of the newest alerts that leads to it.

import { spawn } from "node:child_process";
import { broker, shop as start, told } from "./real.mjs";
import { BINARY, browser, open, until } from "./support.mjs";

const alerts = Number(process.argv[2] ?? 60);
if (BINARY === "") throw new Error("TILLWATCH_BIN names no program");
const mqtt = await broker();
const shop = await start(mqtt);
const chrome = await browser();
try {
  const { get, url } = shop.register;
  await until("the till's subscription", async () => (await get("/api/status")).parts.pos_mqtt?.state === "up");
  const { page } = await open(await chrome.newContext({ viewport: { width: 1366, height: 860 } }), url);
  await until("the connection", () => page.$(".connection[data-phase=live]"));
  // One client that stays: starting one for each would be measured too.
  const till = spawn("mosquitto_pub", ["-V", "5", "-p", `${mqtt.port}`, "-q", "1", "-t", "pos/events/S07/void", "-l"], { stdio: ["pipe", "ignore", "inherit"] });
  await page.evaluate(() => {
    window.drawn = {};
    const look = () => {
      for (const [where, rows] of [["event", ".events.live li"], ["alert", ".alert-lines li"]]) {
        for (const row of document.querySelectorAll(rows)) {
          const of = /emp_m\d+/.exec(row.textContent)?.[0];
          // Drawn with the next picture of the screen.
          if (of && !((`${where} ${of}`) in window.drawn)) {
            window.drawn[`${where} ${of}`] = 0;
            requestAnimationFrame(() => requestAnimationFrame(() => (window.drawn[`${where} ${of}`] = performance.timeOrigin + performance.now())));
          }
        }
      }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const took = { event: [], alert: [], answer: [] };
  const now = () => performance.timeOrigin + performance.now();
  for (let n = 0; n < alerts; n++) {
    const staff_id = `emp_m${n}`;
    const began = now();
    till.stdin.write(`${JSON.stringify(told("void_transaction", { staff_id }))}\n`);
    for (const where of ["event", "alert"]) {
      const at = await until(`${where} ${n}`, () => page.evaluate((key) => window.drawn[key], `${where} ${staff_id}`));
      took[where].push(at - began);
    }
    const asked = now();
    await (await fetch(`${url}/api/alerts?limit=30`)).text();
    took.answer.push(now() - asked);
  }
  till.stdin.end();
  for (const [what, of] of Object.entries({ "message → event drawn": took.event, "message → alert drawn, in the list": took.alert, "one answer of /api/alerts": took.answer })) {
    of.sort((a, b) => a - b);
    const at = (share) => of[Math.min(of.length - 1, Math.ceil(share * of.length) - 1)].toFixed(1);
    console.log(`${what}: median ${at(0.5)} ms, p99 ${at(0.99)} ms, n = ${of.length}`);
  }
} finally {
  await chrome.close();
  await shop.end();
  await mqtt.stop();
}
