// Who may what. The daemon's answers about the session are made up here: the page's side of it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browser, open, register, seriousFindings, skip, until } from "./support.mjs";

const ALL = ["look", "review", "footage", "system", "logins"];
const as = (login, user, rights = ALL, more = {}) => ({ demo: false, login, user, rights, expires: null, code_needed: false, ...more });
const problem = (status, kind, detail, headers = {}) => ({
  status,
  headers,
  contentType: "application/problem+json",
  body: JSON.stringify({ type: `urn:tillwatch:problem:${kind}`, title: kind, status, detail }),
});

describe("the session", { skip, concurrency: false, timeout: 240_000 }, () => {
  let shop;
  let chrome;
  before(async () => {
    shop = await register();
    chrome = await browser();
    await shop.alert("void");
  });
  after(async () => {
    await chrome?.close();
    await shop?.stop();
  });

  /** A context in which the session is what `state.session` says. */
  async function context(state) {
    const own = await chrome.newContext({ viewport: { width: 1366, height: 860 } });
    await own.route("**/api/session", async (route) => {
      const request = route.request();
      if (request.method() === "POST") {
        const { name, password } = request.postDataJSON();
        if (password !== "right") return route.fulfill(problem(401, "password", "name or password is wrong"));
        state.session = as("in", { name, role: "manager" });
        state.expired = false;
      }
      return route.fulfill({ json: state.session });
    });
    return own;
  }

  test("asks for a login, says what is wrong with it, and lets somebody in", async () => {
    const own = await context({ session: as("needed", null, []) });
    const { page } = await open(own, shop.url, /./);
    await page.waitForSelector("input[name=password]");
    assert.deepEqual(await seriousFindings(page), []);
    assert.equal(await page.locator("nav").count(), 0);
    await page.fill("input[name=username]", "kim");
    await page.fill("input[name=password]", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=Name or password is wrong.");
    await page.fill("input[name=password]", "right");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".who:has-text('kim')");
    await own.close();
  });

  test("that ends in the middle of work keeps what was typed, and goes on", async () => {
    const state = { session: as("in", { name: "kim", role: "manager" }), expired: false };
    const own = await context(state);
    await own.route("**/api/alerts/*/review", (route) =>
      state.expired ? route.fulfill(problem(401, "login", "your session has ended")) : route.continue(),
    );
    const { page } = await open(own, `${shop.url}/alerts`, /./);
    await page.waitForSelector(".verdict textarea");
    const id = page.url().split("/").at(-1);
    await page.fill(".verdict textarea", "typed before the end");
    state.expired = true;
    await page.click(".verdict button.main");
    await page.waitForSelector("dialog[open] >> text=Please log in again");
    assert.deepEqual(await seriousFindings(page), []);
    assert.equal(await page.inputValue(".verdict textarea"), "typed before the end");
    assert.equal(await page.inputValue("dialog input[name=username]"), "kim");
    await page.fill("dialog input[name=password]", "right");
    await page.keyboard.press("Enter");
    await until("the verdict", async () => (await shop.get(`/api/alerts/${id}`)).review?.note === "typed before the end");
    assert.equal(await page.locator("dialog").count(), 0);
    await own.close();
  });

  test("ends when nobody is at the page, though the page itself goes on asking", async () => {
    const state = { session: as("in", { name: "kim", role: "manager" }, ALL, { idle_s: 600 }) };
    const own = await context(state);
    const tab = await own.newPage();
    let ended = false;
    tab.on("request", (request) => (ended ||= request.method() === "DELETE" && request.url().endsWith("/api/session")));
    await tab.clock.install();
    await tab.goto(`${shop.url}/alerts`);
    await tab.waitForSelector(".who");
    await tab.clock.fastForward(500_000);
    await tab.mouse.move(300, 300);
    await tab.clock.fastForward(500_000);
    assert.equal(await tab.locator("dialog").count(), 0, "somebody was there meanwhile");
    await tab.clock.fastForward(700_000);
    await tab.waitForSelector("dialog[open] >> text=Please log in again");
    assert.equal(ended, true);
    await own.close();
  });

  test("of a technician disables what is not his, with the reason", async () => {
    const own = await context({ session: as("in", { name: "jo", role: "technician" }, ["look", "system"]) });
    const asked = [];
    own.on("request", (request) => asked.push(request.url()));
    const { page } = await open(own, `${shop.url}/alerts`, /./);
    await page.waitForSelector(".verdict textarea");
    assert.equal(await page.isDisabled(".verdict textarea"), true);
    assert.equal(await page.getAttribute(".verdict button.main", "aria-disabled"), "true");
    await page.waitForSelector("text=Your role (technician) may not judge alerts.");
    await page.waitForSelector("text=Your role (technician) may not see footage.");
    await page.keyboard.press("c");
    await page.waitForTimeout(300);
    assert.ok(!asked.some((url) => /review|frames|snapshot/.test(url)), "nothing is asked for that would be refused");
    await page.goto(`${shop.url}/clips`);
    await page.waitForSelector("text=Your role (technician) may not see footage.");
    await own.close();
  });

  test("of nobody yet offers the first login, and takes a no", async () => {
    const own = await context({ session: as("setup", null) });
    let made = null;
    await own.route("**/api/setup", (route) => {
      made = route.request().postDataJSON();
      return route.fulfill({ status: 201, json: {} });
    });
    const { page } = await open(own, shop.url, /./);
    await page.click("text=Make the first login");
    await page.fill("dialog input[name=username]", "kim");
    await page.fill("dialog input[name=password]", "three words in a row");
    assert.deepEqual(await seriousFindings(page), []);
    await page.click("dialog button.main");
    await until("the set-up", () => made);
    assert.deepEqual(made, { name: "kim", password: "three words in a row" });
    const again = await open(own, shop.url, /./);
    await again.page.click(".strip >> text=Not now");
    await again.page.waitForSelector("text=Make the first login", { state: "detached" });
    await own.close();
  });

  test("from the network asks for the code and shows nothing before", async () => {
    const own = await context({ session: as("setup", null, [], { code_needed: true }) });
    const { page } = await open(own, shop.url, /./);
    await page.waitForSelector("dialog input[name=code]");
    assert.equal(await page.locator("dialog >> text=Not now").count(), 0);
    await own.close();
  });
});

describe("a real register", { skip, concurrency: false, timeout: 120_000 }, () => {
  let shop;
  let chrome;
  before(async () => {
    shop = await register("[storage]\nlog_mib = 64\n");
    chrome = await browser();
  });
  after(async () => {
    await chrome?.close();
    await shop?.stop();
  });

  test("is set up at the page, has logins with roles, and lets nobody else in", async () => {
    const own = await chrome.newContext({ viewport: { width: 1366, height: 860 } });
    const { page, wrong } = await open(own, shop.url);
    assert.equal(await page.locator(".strip .tag").count(), 0, "it is no demo");
    await page.waitForSelector(".witness.absent");
    await page.click("text=Make the first login");
    await page.fill("dialog input[name=username]", "kim");
    await page.fill("dialog input[name=password]", "three words in a row");
    await page.click("dialog button.main");
    await page.waitForSelector(".who:has-text('kim')");
    assert.equal((await fetch(`${shop.url}/api/alerts`)).status, 401, "from now on a login is asked for");

    await page.goto(`${shop.url}/system`);
    await page.click("text=New login");
    await page.fill("#login-name", "jo");
    await page.fill("#login-password", "four more words here");
    await page.click("dialog >> text=technician");
    await page.click("dialog button.main");
    await page.waitForSelector(".list th:has-text('jo')");
    assert.deepEqual(await seriousFindings(page), []);
    const last = page.locator("tr", { hasText: "kim" }).locator("button", { hasText: "Remove" });
    assert.equal(await last.getAttribute("aria-disabled"), "true", "the last manager stays");
    await page.waitForSelector("text=Who saw footage");
    assert.deepEqual(wrong, []);
    await page.click("text=Log out");
    await page.waitForSelector("input[name=password]");

    await page.fill("input[name=username]", "jo");
    await page.fill("input[name=password]", "not the right words");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".trouble");
    await page.fill("input[name=password]", "four more words here");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".who:has-text('technician')");
    await page.goto(`${shop.url}/system`);
    await page.waitForSelector("text=Devices and connections");
    assert.equal(await page.locator("text=New login").count(), 0);
    assert.equal(await page.locator("text=Who saw footage").count(), 0);
    await own.close();
  });
});
