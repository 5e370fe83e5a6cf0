// What the page weighs, whom it asks, and how soon it shows something.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browser, open, register, skip, until } from "./support.mjs";

const SCRIPT_BYTES = 150_000;
/** Of the best of some loads without a cache: a busy machine is not the page's fault. */
const FIRST_PAINT_MS = 1_500;
const LOADS = 5;

describe("the page's weight", { skip, concurrency: false, timeout: 120_000 }, () => {
  let shop;
  let chrome;
  before(async () => {
    shop = await register();
    chrome = await browser();
  });
  after(async () => {
    await chrome?.close();
    await shop?.stop();
  });

  test("is less than 150 kB of script in all views together, and nobody else is asked for anything", async () => {
    const own = await chrome.newContext({ viewport: { width: 1366, height: 860 } });
    const strangers = [];
    // Downloads, frames and workers too, before any of them leaves the browser.
    await own.route(/./, (route) => {
      if (new URL(route.request().url()).origin === shop.url) return route.continue();
      strangers.push(route.request().url());
      return route.abort();
    });
    const scripts = new Map();
    const answers = [];
    own.on("response", (response) => {
      if (response.request().resourceType() === "script") answers.push(response.request().sizes().then((of) => scripts.set(response.url(), of.responseBodySize)));
    });
    const alert = await until("an alert", async () => (await shop.get("/api/alerts?limit=1"))[0]);
    const { page, wrong } = await open(own, shop.url);
    for (const path of ["/", `/alerts/${alert.alert_id}?list=all`, "/receipts", "/day", "/clips", "/system"]) {
      await page.goto(shop.url + path);
      await until("the connection", () => page.$(".connection[data-phase=live]"));
    }
    await page.goto(`${shop.url}/day`);
    await page.waitForSelector(".plot canvas");
    await Promise.all(answers);
    const bytes = [...scripts.values()].reduce((sum, of) => sum + of, 0);
    assert.ok(scripts.size >= 2, "the plots come when they are wanted");
    assert.ok(bytes > 10_000 && bytes < SCRIPT_BYTES, `${bytes} bytes of script`);
    assert.deepEqual(strangers, []);
    assert.deepEqual(wrong, [], "nothing in the console, nothing against the policy");
    await own.close();
  });

  test("is small enough to show something at once", async () => {
    const paints = [];
    for (let n = 0; n < LOADS; n++) {
      const own = await chrome.newContext({ viewport: { width: 1366, height: 860 } });
      const { page } = await open(own, shop.url);
      await page.waitForSelector(".witnesses");
      paints.push(await until("the first paint", () => page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime)));
      await own.close();
    }
    const best = Math.min(...paints);
    assert.ok(best < FIRST_PAINT_MS, `the first paint came after ${paints.map((of) => of.toFixed(0)).join(", ")} ms`);
  });

  test("lets nothing run or load but its own", async () => {
    const answer = await fetch(shop.url);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src '(none|self)'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    const own = await chrome.newContext();
    const { page } = await open(own, shop.url);
    await page.evaluate(() => {
      const script = document.createElement("script");
      try {
        script.textContent = "window.ran = true";
        document.head.append(script);
      } catch {
        // Text is not even taken for a script.
      }
    });
    assert.equal(await page.evaluate(() => window.ran), undefined);
    await own.close();
  });
});
