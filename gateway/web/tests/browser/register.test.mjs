// A real register: a real broker between till, register and head office, two cameras, logins.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { broker, noBroker, shop as start, told } from "./real.mjs";
import { browser, open, seriousFindings, skip, until } from "./support.mjs";

const WIDE = { viewport: { width: 1366, height: 860 } };
const PASSWORD = "three words in a row";
/** What a browser says of requests that a test makes fail on purpose. */
const EXPECTED = /\/api\//;
/** Without a camera no alert has a clip. */
const NO_CLIP = /\/api\/clips\//;

describe("a real register with a real broker", { skip: skip || noBroker, concurrency: false, timeout: 300_000 }, () => {
  let mqtt;
  let shop;
  let chrome;
  /** Cookies of a manager. */
  let kim;

  const get = async (path) => {
    const cookie = kim.cookies.map((of) => `${of.name}=${of.value}`).join("; ");
    const answer = await fetch(shop.register.url + path, { headers: { cookie } });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.json();
  };
  const sell = (...events) => mqtt.publish("pos/events/S07/void", events);
  const alertOf = (event) => until(`the alert about ${event.order_id}`, async () => (await get("/api/alerts?limit=100")).find((of) => of.order_id === event.order_id));
  const clipOf = (alert) =>
    until("its clip", async () => {
      const clip = await get(`/api/clips/${alert.clip_id}`);
      return clip.state === "complete" || clip.state === "partial" ? clip : null;
    });
  const live = (page) => until("the connection", () => page.$(".connection[data-phase=live]"));
  const enter = async (page, name, password = PASSWORD) => {
    await page.fill("input[name=username]", name);
    await page.fill("input[name=password]", password);
    await page.keyboard.press("Enter");
  };

  before(async () => {
    mqtt = await broker();
    chrome = await browser();
    shop = await start(mqtt, { chrome });
    const own = await chrome.newContext(WIDE);
    const { page } = await open(own, shop.register.url);
    await page.click("text=Make the first login");
    await page.fill("dialog input[name=username]", "kim");
    await page.fill("dialog input[name=password]", PASSWORD);
    await page.click("dialog button.main");
    await page.waitForSelector(".who:has-text('kim')");
    kim = await own.storageState();
    await own.close();
    await until("the till's subscription", async () => (await get("/api/status")).parts.pos_mqtt?.state === "up");
    await until("both cameras", async () => (await get("/api/cameras")).filter((of) => of.delivering).length === 2);
  });
  after(async () => {
    await chrome?.close();
    await shop?.end();
    await mqtt?.stop();
  });

  /** A page of the manager. */
  async function opened(path, expected) {
    const own = await chrome.newContext({ ...WIDE, storageState: kim });
    return { own, ...(await open(own, shop.register.url + path, expected)) };
  }

  test("shows what a till publishes, as an alert, within a second", async () => {
    const { own, page, wrong } = await opened("/");
    await live(page);
    const event = told("void_transaction");
    await sell(event);
    const published = Date.now();
    await page.waitForSelector(`.events.live li:has-text("${event.order_id}")`);
    await page.waitForSelector('.alert-lines li:first-child:has-text("emp_7")');
    const took = Date.now() - published;
    assert.ok(took < 1_000, `it took ${took} ms`);
    assert.deepEqual(wrong, []);
    await own.close();
  });

  test("plays two cameras in step: after a jump, step by step, and while it plays", async () => {
    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    await clipOf(alert);
    const times = await get(`/api/clips/${alert.clip_id}/frames`);
    assert.deepEqual(times.cameras.map((of) => of.name).sort(), ["counter", "door"]);
    const { own, page, wrong } = await opened(`/alerts/${alert.alert_id}?list=all`);
    await until("both pictures", async () => (await page.locator("canvas[data-frame]").count()) === 2);
    const place = async () => Number(await page.getAttribute("[data-place]", "data-place"));
    const frames = () => page.$$eval("canvas[data-frame]", (all) => all.map((of) => Number(of.dataset.frame)));
    const due = (at) => times.cameras.map((of) => Math.max(0, of.ms.findLastIndex((ms) => ms <= at)));
    const inStep = async (what) => {
      await until(`${what}: the pictures of that place`, async () => JSON.stringify(await frames()) === JSON.stringify(due(await place())));
    };
    const all = [...new Set(times.cameras.flatMap((of) => of.ms))].sort((a, b) => a - b);

    const box = await page.locator(".scrubber").boundingBox();
    for (const share of [0.75, 0.25, 0.5]) {
      await page.mouse.click(box.x + box.width * share, box.y + box.height / 2);
      await inStep(`at ${share}`);
    }
    await page.evaluate(() => document.activeElement.blur());
    let at = await place();
    for (let n = 0; n < 8; n++) {
      await page.keyboard.press(".");
      const next = all.find((ms) => ms > at);
      await until("the next picture of either camera", async () => (await place()) === next);
      await inStep(`step ${n}`);
      at = next;
    }
    for (let n = 0; n < 4; n++) {
      await page.keyboard.press(",");
      const last = all.findLast((ms) => ms < at);
      await until("the picture before", async () => (await place()) === last);
      at = last;
    }
    await inStep("back");
    await page.keyboard.press(" ");
    await until("half a second played", async () => (await place()) > at + 500);
    await page.keyboard.press(" ");
    await inStep("stopped");
    assert.deepEqual(wrong, []);
    await own.close();
  });

  test("has nothing serious for axe and no errors in any view", async () => {
    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    await clipOf(alert);
    const { own, page, wrong } = await opened("/");
    for (const path of ["/", "/alerts", `/alerts/${alert.alert_id}?list=all`, "/receipts", "/day", "/clips", `/clips/${alert.clip_id}`, "/system"]) {
      await page.goto(shop.register.url + path);
      await page.waitForSelector("main h1, main h2", { state: "attached" });
      await live(page);
      await page.waitForLoadState("load");
      assert.deepEqual(await seriousFindings(page), [], path);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(beyond <= 0, `${path} is ${beyond} px too wide`);
    }
    assert.deepEqual(wrong, []);
    await own.close();
  });

  test("tells head office the verdict, and shows there and everywhere what became of it", async () => {
    const heard = mqtt.hear("stores/S07/reviews");
    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    const { own, page } = await opened(`/alerts/${alert.alert_id}?list=all`);
    const other = await opened("/");
    await other.page.waitForSelector(".alert-lines li");
    await page.waitForSelector(".verdict textarea");
    await page.keyboard.press("n");
    await page.keyboard.type("seen on both cameras");
    await page.keyboard.press("Escape");
    await page.keyboard.press("c");
    const review = await until("head office hears of it", () => heard.find((of) => JSON.stringify(of).includes(alert.alert_id)));
    const text = JSON.stringify(review);
    for (const word of ["confirmed", "seen on both cameras", "kim"]) assert.ok(text.includes(word), `${word} in ${text}`);
    const line = other.page.locator(".alert-lines li", { has: other.page.locator(`a[href*="${alert.alert_id}"]`) });
    await until("the other page", async () => (await line.textContent()).includes("confirmed"));
    await own.close();
    await other.own.close();
  });

  test("keeps a note that was being typed when the session ended, and saves it after a login", async () => {
    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    const own = await chrome.newContext(WIDE);
    const { page } = await open(own, `${shop.register.url}/alerts/${alert.alert_id}?list=all`, EXPECTED);
    await page.waitForSelector("input[name=password]");
    await enter(page, "kim");
    await page.waitForSelector(".verdict textarea");
    await page.fill(".verdict textarea", "typed before ");
    const cookie = (await own.cookies()).map((of) => `${of.name}=${of.value}`).join("; ");
    const ended = await fetch(`${shop.register.url}/api/session`, { method: "DELETE", headers: { cookie } });
    assert.ok(ended.ok);
    await page.focus(".verdict textarea");
    await page.keyboard.press("End");
    await page.keyboard.type("and after");
    await page.click(".verdict button.main").catch(() => {});
    await page.waitForSelector("dialog[open] >> text=Please log in again");
    await page.fill("dialog input[name=password]", PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog", { state: "detached" });
    const kept = async () => {
      const { review } = await get(`/api/alerts/${alert.alert_id}`);
      if (review) return review.note;
      // The form came before the click did.
      if ((await page.inputValue(".verdict textarea")) === "typed before and after") await page.click(".verdict button.main", { timeout: 1_000 });
      return null;
    };
    assert.equal(await until("the verdict", kept), "typed before and after");
    await own.close();
  });

  test("lets a technician see how it works and no footage, at the page and beside it", async () => {
    const { own: managers, page: manager } = await opened("/system");
    await manager.click("text=New login");
    await manager.fill("#login-name", "jo");
    await manager.fill("#login-password", PASSWORD);
    await manager.click("dialog >> text=technician");
    await manager.click("dialog button.main");
    await manager.waitForSelector(".list th:has-text('jo')");
    await managers.close();

    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    await clipOf(alert);
    const own = await chrome.newContext(WIDE);
    const { page } = await open(own, `${shop.register.url}/alerts/${alert.alert_id}?list=all`, EXPECTED);
    await enter(page, "jo");
    await page.waitForSelector("text=Your role (technician) may not judge alerts.");
    await page.waitForSelector("text=Your role (technician) may not see footage.");
    assert.equal(await page.isDisabled(".verdict textarea"), true);
    const status = async (method, path, data) => (await page.request.fetch(shop.register.url + path, { method, data })).status();
    assert.equal(await status("GET", `/api/clips/${alert.clip_id}/frames/0.jpg`), 403);
    assert.equal(await status("GET", "/api/cameras/0/snapshot.jpg"), 403);
    assert.equal(await status("GET", "/api/audit"), 403);
    assert.equal(await status("POST", `/api/alerts/${alert.alert_id}/review`, { verdict: "legitimate", note: "" }), 403);
    assert.equal(await status("GET", "/api/status"), 200);
    assert.equal((await get(`/api/alerts/${alert.alert_id}`)).review, null);
    await own.close();
  });

  test("shows no picture in the list of clips unasked, and writes down each that was asked for", async () => {
    const event = told("void_transaction");
    await sell(event);
    const alert = await alertOf(event);
    await clipOf(alert);
    const looks = async () => (await get("/api/audit?limit=1000")).filter((of) => of.clip === alert.clip_id).length;
    const { own, page } = await opened("/clips");
    await page.waitForSelector(".clip-card");
    assert.equal(await page.locator(".clip-card img").count(), 0);
    assert.equal(await looks(), 0);
    await page.check("text=Pictures");
    await until("the pictures", () => page.$eval(".clip-card img", (of) => of.complete && of.naturalWidth > 0));
    await until("the look", async () => (await looks()) === 1);
    await page.reload();
    await page.waitForSelector(".clip-card img");
    assert.equal(await looks(), 1, "ten minutes are one look");
    await own.close();
  });

  test("is pulled from the wall and comes back: the page catches up, and shows nothing twice", async () => {
    const { own, page } = await opened("/", /./);
    await live(page);
    const [before, ...meanwhile] = Array.from({ length: 4 }, () => told("void_transaction", { staff_id: "emp_31" }));
    await sell(before);
    await page.waitForSelector(`.events.live li:has-text("${before.order_id}")`);
    await shop.register.kill();
    await until("the page notices", () => page.$(".connection:not([data-phase=live])"));
    // The broker keeps them for the register that is away.
    await sell(...meanwhile);
    await shop.again();
    await until("the connection again", () => page.$(".connection[data-phase=live]"), 60_000);
    for (const event of meanwhile) await page.waitForSelector(`.events.live li:has-text("${event.order_id}")`);
    for (const event of [before, ...meanwhile]) await alertOf(event);
    const listed = await get("/api/alerts?limit=100");
    const ids = listed.map((of) => of.alert_id);
    assert.equal(new Set(ids).size, ids.length);
    for (const event of [before, ...meanwhile]) {
      assert.equal(listed.filter((of) => of.order_id === event.order_id).length, 1, event.order_id);
      const said = page.locator(".events.live li", { hasText: event.order_id }).filter({ hasText: "Void" });
      const seqs = await said.evaluateAll((all) => all.map((of) => of.textContent));
      assert.equal(new Set(seqs).size, seqs.length, `${event.order_id} is there twice: ${seqs.join(" | ")}`);
    }
    const lines = await page.$$eval(".alert-lines a", (all) => all.map((of) => of.getAttribute("href")));
    assert.equal(new Set(lines).size, lines.length);
    assert.equal(await page.locator(".who:has-text('kim')").count(), 1, "a restart ends no session");
    await own.close();
  });
});

describe("a register with ten thousand alerts", { skip: skip || noBroker, concurrency: false, timeout: 300_000 }, () => {
  const MANY = 10_000;
  const BATCH = 500;
  let mqtt;
  let shop;
  let chrome;
  before(async () => {
    mqtt = await broker();
    chrome = await browser();
    shop = await start(mqtt, { logMib: 256 });
    const get = shop.register.get;
    await until("the till's subscription", async () => (await get("/api/status")).parts.pos_mqtt?.state === "up");
    // As fast as the register takes them.
    for (let n = 0; n < MANY; n += BATCH) {
      await mqtt.publish("pos/events/S07/void", Array.from({ length: BATCH }, (_, of) => told("void_transaction", { staff_id: `emp_${n + of}` })));
      await until("a batch", async () => (await get("/api/status")).alerts >= n + BATCH, 60_000);
    }
    await until("the index", async () => (await get("/api/status")).log.index_lag === 0, 60_000);
  });
  after(async () => {
    await chrome?.close();
    await shop?.end();
    await mqtt?.stop();
  });

  test("lists them all, draws what is seen, and opens the last one", async () => {
    const own = await chrome.newContext(WIDE);
    const { page, wrong } = await open(own, `${shop.register.url}/alerts?list=all`, NO_CLIP);
    await page.waitForSelector(".alert-list a");
    const loaded = async () => Number((await page.textContent(".list-side .foot")).replace(/\D/g, ""));
    const further = async () => {
      await page.evaluate(() => document.querySelector(".alert-list").scrollTo(0, 1e9));
      return (await loaded()) >= MANY ? true : loaded();
    };
    await until("all pages", async () => (await further()) === true || Promise.reject(new Error(`${await loaded()} so far`)), 120_000);
    assert.ok((await page.locator(".alert-list li").count()) < 60, "only what is seen is drawn");
    const last = page.locator(`.alert-list li[aria-posinset="${MANY}"] a`);
    await until("the last row", async () => {
      await page.evaluate(() => document.querySelector(".alert-list").scrollTo(0, 1e9));
      return (await last.count()) === 1;
    });
    await last.click();
    await page.waitForSelector(".points li");
    assert.match(await page.textContent(".detail-side"), /emp_0\b/);
    await page.goto(shop.register.url);
    await page.waitForSelector(".alert-lines a");
    await page.goto(`${shop.register.url}/day`);
    await page.waitForSelector(".totals b");
    assert.deepEqual(wrong, []);
    await own.close();
  });
});
