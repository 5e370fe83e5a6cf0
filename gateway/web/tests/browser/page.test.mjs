// The page as people use it, served by the program itself, over its demo register.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browser, open, register, seriousFindings, skip, until } from "./support.mjs";

const WIDE = { viewport: { width: 1366, height: 860 } };
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

describe("the page", { skip, concurrency: false, timeout: 240_000 }, () => {
  let shop;
  let chrome;
  let context;

  before(async () => {
    shop = await register();
    chrome = await browser();
    context = await chrome.newContext(WIDE);
    await shop.alert("void");
  });
  after(async () => {
    await chrome?.close();
    await shop?.stop();
  });

  const views = async () => {
    const alert = await shop.alert("void");
    return ["/", "/alerts", `/alerts/${alert.alert_id}?list=all`, "/receipts", "/receipts?q=milk", "/day", "/clips", `/clips/${alert.clip_id}`, "/system"];
  };

  for (const [form, options] of [
    ["on a desk, light", { ...WIDE, colorScheme: "light" }],
    ["on a desk, dark", { ...WIDE, colorScheme: "dark" }],
    ["on a phone", { ...PHONE, colorScheme: "light" }],
  ]) {
    test(`has nothing serious for axe, no errors, and nothing beside the screen, ${form}`, async () => {
      const own = await chrome.newContext(options);
      for (const path of await views()) {
        const { page, wrong } = await open(own, shop.url + path);
        await page.waitForSelector("main h1, main h2", { state: "attached" });
        await until("the connection", () => page.$(".connection[data-phase=live]"));
        await page.waitForTimeout(700);
        assert.deepEqual(await seriousFindings(page), [], path);
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(beyond <= 0, `${path} is ${beyond} px too wide`);
        assert.deepEqual(wrong, [], path);
        await page.close();
      }
      await own.close();
    });
  }

  test("says that it is a demo and explains the five stories once", async () => {
    const own = await chrome.newContext(WIDE);
    const { page } = await open(own, shop.url);
    await page.waitForSelector(".strip .tag");
    assert.equal(await page.textContent(".strip .tag"), "demo");
    assert.equal(await page.locator(".tour li").count(), 5);
    await page.click(".tour button");
    await page.waitForSelector(".tour", { state: "detached" });
    await page.reload();
    await page.waitForSelector(".witnesses");
    assert.equal(await page.locator(".tour").count(), 0);
    await own.close();
  });

  test("shows what the till says within a second", async () => {
    const { page } = await open(context, shop.url);
    await until("the connection", () => page.$(".connection[data-phase=live]"));
    const order = `ORD-${Date.now()}`;
    const began = Date.now();
    const body = JSON.stringify({ event_id: order, event_type: "discount_applied", order_id: order, staff_id: "emp_7", amount: 1, discount_percent: 10 });
    const posted = await fetch(`${shop.url}/api/pos-events`, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.ok(posted.ok, await posted.text());
    await page.waitForSelector(`.events.live li:has-text("${order}")`, { timeout: 5_000 });
    const took = Date.now() - began;
    assert.ok(took < 1_000, `it took ${took} ms`);
    await page.close();
  });

  test("catches up on what happened while it had no network", async () => {
    const own = await chrome.newContext(WIDE);
    const { page } = await open(own, shop.url, /./);
    await until("the connection", () => page.$(".connection[data-phase=live]"));
    await own.setOffline(true);
    await until("the page notices", () => page.$(".connection:not([data-phase=live])"));
    const order = `ORD-away-${Date.now()}`;
    const body = JSON.stringify({ event_id: order, event_type: "discount_applied", order_id: order, amount: 1, discount_percent: 10 });
    await fetch(`${shop.url}/api/pos-events`, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.equal(await page.locator(`li:has-text("${order}")`).count(), 0);
    await own.setOffline(false);
    await page.waitForSelector(`.events.live li:has-text("${order}")`, { timeout: 15_000 });
    await until("the connection", () => page.$(".connection[data-phase=live]"));
    await own.close();
  });

  test("shows the score of an alert with what adds up to it", async () => {
    const alert = await shop.alert("void");
    const { page } = await open(context, `${shop.url}/alerts/${alert.alert_id}?list=all`);
    await page.waitForSelector(".points li");
    assert.equal(await page.textContent(".big-score b"), alert.score.toFixed(2));
    const shown = await page.$$eval(".points li", (all) => all.map((one) => one.textContent));
    for (const of of alert.contributions) assert.ok(shown.some((text) => text.includes(of.text) && text.includes(of.points.toFixed(2))), of.text);
    await page.close();
  });

  test("takes a verdict by key, goes on to the next, and lets it be changed", async () => {
    const { page } = await open(context, `${shop.url}/alerts`);
    await page.waitForSelector(".alert-list a[aria-current]");
    await page.waitForSelector(".verdict textarea");
    const first = page.url().split("/").at(-1);
    await page.keyboard.press("n");
    await page.keyboard.type("the customer came back, see l and c");
    await page.keyboard.press("Escape");
    await page.keyboard.press("l");
    await until("the verdict", async () => (await shop.get(`/api/alerts/${first}`)).review?.verdict === "legitimate");
    const judged = await shop.get(`/api/alerts/${first}`);
    assert.equal(judged.review.note, "the customer came back, see l and c");
    await until("the next alert", () => !page.url().includes(first) && page.url().includes("/alerts/"));
    await page.waitForSelector(".toast");
    await page.keyboard.press("u");
    await until("the judged one again", () => page.url().includes(first));
    await page.waitForSelector(".given");
    assert.match(await page.textContent(".given"), /legitimate: the customer came back/);
    await page.click(".verdict button.main");
    await until("the other verdict", async () => (await shop.get(`/api/alerts/${first}`)).review?.verdict === "confirmed");
    await page.close();
  });

  test("finds receipts by their words and underlines them", async () => {
    await until("a printed sale", async () => (await shop.get("/api/receipts?q=milk")).length > 0);
    const { page } = await open(context, `${shop.url}/receipts`);
    await page.waitForSelector(".rows a");
    await page.keyboard.press("/");
    await page.keyboard.type("milk brûlée");
    await until("the search", () => page.url().includes("q=milk"));
    await page.waitForSelector(".paper mark");
    const marks = await page.$$eval(".paper mark", (all) => all.map((one) => one.textContent));
    assert.deepEqual([...new Set(marks)].sort(), ["brûlée", "milk"]);
    await page.fill("input[type=search]", "nobodyeverboughtthis");
    await page.waitForSelector("text=No receipt has these words");
    await page.close();
  });

  test("plays the camera's pictures: seeks, steps one by one, keeps true time", async () => {
    const alert = await shop.alert("void");
    const times = await shop.get(`/api/clips/${alert.clip_id}/frames`);
    const { ms } = times.cameras[0];
    const { page, wrong } = await open(context, `${shop.url}/clips/${alert.clip_id}`);
    await page.waitForSelector("canvas[data-frame]");
    const frame = async () => Number(await page.getAttribute("canvas[data-frame]", "data-frame"));
    const place = async () => Number(await page.getAttribute("[data-place]", "data-place"));
    const painted = (n) => until(`picture ${n}`, async () => (await frame()) === n);

    await page.focus(".scrubber");
    await page.keyboard.press("Home");
    await until("the beginning", async () => (await place()) === 0);
    await page.keyboard.press("End");
    await painted(ms.length - 1);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press(",");
    await painted(ms.length - 2);
    assert.equal(await place(), ms[ms.length - 2]);
    await page.keyboard.press(".");
    await painted(ms.length - 1);

    const box = await page.locator(".scrubber").boundingBox();
    await page.mouse.click(box.x + box.width * 0.3, box.y + box.height / 2);
    const duration = Date.parse(alert.clip.to) - Date.parse(alert.clip.from);
    assert.ok(Math.abs((await place()) - duration * 0.3) < 60, `at ${await place()} of ${duration}`);

    // Fetched before: a slow machine makes the clock wait for its pictures, which is as it should be.
    await page.evaluate(
      ([clip, version, count]) =>
        Promise.all(Array.from({ length: count }, (_, n) => fetch(`/api/clips/${clip}/frames/${n}.jpg?camera=0&version=${version}`).then((of) => of.blob()))),
      [alert.clip_id, times.version, ms.length],
    );
    const before = await place();
    const began = Date.now();
    await page.keyboard.press(" ");
    await page.waitForTimeout(1_500);
    await page.keyboard.press(" ");
    const played = (await place()) - before;
    const passed = Date.now() - began;
    assert.ok(played > 1_000 && played <= passed, `${played} ms were played in ${passed} ms`);
    const newest = ms.findLastIndex((of) => of <= before + played);
    await until("the picture of that place", async () => Math.abs((await frame()) - newest) <= 1);

    await page.selectOption(".speed select", "8");
    await page.keyboard.press(" ");
    await until("the end", async () => (await place()) >= duration, 5_000);
    await page.selectOption(".speed select", "1");

    const idle = await page.evaluate(async () => {
      let changes = 0;
      const watch = new MutationObserver((all) => (changes += all.length));
      watch.observe(document.querySelector(".player"), { subtree: true, childList: true, attributes: true });
      await new Promise((resolve) => setTimeout(resolve, 500));
      watch.disconnect();
      return changes;
    });
    assert.ok(idle <= 3, `a player that stands still changed the page ${idle} times in half a second`);

    const [saved] = await Promise.all([page.waitForEvent("download"), page.click('button[aria-label="Save this picture"]')]);
    assert.match(saved.suggestedFilename(), /_void_counter\.jpg$/);
    const film = await page.getAttribute("a[download]", "href");
    const head = await fetch(shop.url + film, { headers: { range: "bytes=0-11" } });
    assert.equal(Buffer.from(await head.arrayBuffer()).subarray(4, 8).toString(), "ftyp");
    assert.deepEqual(wrong, []);
    await page.close();
  });

  test("leads from a receipt's line to its second, and lights what happens there", async () => {
    const alert = await shop.alert("void");
    const { page } = await open(context, `${shop.url}/alerts/${alert.alert_id}?list=all`);
    await page.waitForSelector("canvas[data-frame]");
    await page.waitForSelector(".paper button");
    const place = async () => Number(await page.getAttribute("[data-place]", "data-place"));
    const line = page.locator(".paper li", { hasText: "TRANSACTION VOID" }).first();
    await line.locator("button").click();
    await until("the line", async () => (await line.getAttribute("class"))?.includes("lit"));
    const printed = (await shop.get(`/api/receipts?q=${alert.ticket_no}`))[0];
    const began = Date.parse(printed.receipt.began_at) - Date.parse(alert.clip.from);
    const ended = Date.parse(printed.at) - Date.parse(alert.clip.from);
    assert.ok((await place()) >= began - 1 && (await place()) <= ended + 1);

    const event = page.locator(".events.synced li", { has: page.locator(".evidence") }).first();
    await event.locator("button").click();
    await until("the event", async () => (await event.getAttribute("class")).includes("lit"));
    const seq = Number(alert.evidence[0].seq);
    assert.ok(seq > 0);
    await page.focus(".scrubber");
    await page.keyboard.press("End");
    await until("the light goes on", async () => !(await event.getAttribute("class")).includes("lit"));
    await page.close();
  });

  test("says what is missing where a payment has no paper", async () => {
    const alert = await shop.alert("suppressed");
    const { page } = await open(context, `${shop.url}/alerts/${alert.alert_id}?list=all`);
    await page.waitForSelector("text=No paper belongs to it");
    await page.waitForSelector("text=What the till says");
    await page.close();
  });

  test("counts a day as the register does, and looks closer", async () => {
    const { page } = await open(context, `${shop.url}/day`);
    await page.waitForSelector(".totals b");
    const day = await shop.get("/api/day");
    const sales = day.hours.reduce((sum, hour) => sum + hour.sales, 0);
    await until("the same count", async () => Math.abs(Number(await page.textContent(".totals b")) - sales) <= 1);
    await page.waitForSelector(".plot canvas");
    const span = () => page.textContent(".timeline .num");
    const before = await span();
    await page.click("text=Closer");
    await until("a shorter part", async () => (await span()) !== before);
    await page.click("text=Whole day");
    assert.match(await span(), /^00:00:00/);
    await page.goto(`${shop.url}/day/2001-01-01`);
    await page.waitForSelector("text=Nothing happened on this day");
    await page.close();
  });

  test("stays smooth with ten thousand alerts", async () => {
    const some = (await shop.get("/api/alerts?limit=1"))[0];
    const id = (n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
    const tab = await context.newPage();
    await tab.route(/\/api\/alerts\?/, async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const from = query.has("before") ? Number(query.get("before").slice(-12)) + 1 : 0;
      const most = Number(query.get("limit"));
      const alerts = Array.from({ length: Math.min(most, 10_000 - from) }, (_, n) => ({ ...some, alert_id: id(from + n), staff_id: `emp_${from + n}` }));
      await route.fulfill({ json: alerts });
    });
    await tab.goto(`${shop.url}/alerts?list=all`);
    await tab.waitForSelector(".alert-list a");
    const loaded = async () => Number((await tab.textContent(".list-side .foot")).replace(/\D/g, ""));
    await until(
      "all pages",
      async () => {
        await tab.evaluate(() => document.querySelector(".alert-list").scrollTo(0, 1e9));
        return (await loaded()) === 10_000;
      },
      60_000,
    );
    assert.ok((await tab.locator(".alert-list li").count()) < 60, "only what is seen is drawn");
    const slowest = await tab.evaluate(async () => {
      const list = document.querySelector(".alert-list");
      let last = performance.now();
      let worst = 0;
      for (let n = 0; n < 60; n++) {
        list.scrollTo(0, (list.scrollHeight / 60) * n);
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        worst = Math.max(worst, now - last);
        last = now;
      }
      return worst;
    });
    assert.ok(slowest < 150, `one picture of the list took ${slowest.toFixed(0)} ms`);
    await tab.close();
  });

  test("is moved through by keys alone and says what they do", async () => {
    const { page } = await open(context, shop.url);
    await page.waitForSelector(".witnesses");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "To the content");
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    assert.match(await page.textContent("dialog"), /These keys/);
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.keyboard.press("2");
    await until("alerts", () => page.url().includes("/alerts"));
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.goBack();
    await until("now again", () => new URL(page.url()).pathname === "/");
    await page.close();
  });

  test("is light or dark as somebody wants it", async () => {
    const own = await chrome.newContext({ ...WIDE, colorScheme: "dark" });
    const { page } = await open(own, shop.url);
    await page.waitForSelector(".rail");
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await ground();
    await page.click("button:has-text('auto')");
    await until("light", async () => (await ground()) !== dark);
    await page.reload();
    await page.waitForSelector(".rail");
    assert.notEqual(await ground(), dark, "the choice is kept");
    await own.close();
  });
});
