// What a real register has around it: a broker of Debian's Mosquitto, a till that publishes with
// mosquitto_pub, head office that listens with mosquitto_sub, and two cameras that play files.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { register, until } from "./support.mjs";

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const there = (name) => spawnSync("sh", ["-c", `command -v ${name}`], { env }).status === 0;

/** Why there can be no broker; false when there can. */
export const noBroker = ["mosquitto", "mosquitto_pub", "mosquitto_sub"].every(there) ? false : "there is no Mosquitto here";

/** A port that nobody uses at this moment. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A broker that keeps what is for somebody who is away. */
export async function broker() {
  const folder = mkdtempSync(join(tmpdir(), "tillwatch-broker-"));
  const port = await freePort();
  const config = join(folder, "mosquitto.conf");
  const root = process.getuid?.() === 0 ? "user root\n" : "";
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\n${root}max_queued_messages 0\n`);
  const program = spawn("mosquitto", ["-c", config], { env, stdio: "ignore" });
  const ended = new Promise((resolve) => program.on("exit", resolve));
  const listens = () =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket.end() !== null));
      socket.on("error", reject);
    });
  await until("the broker", listens);
  const listeners = [];
  return {
    port,
    /** Publishes events as a till does, one message each; resolves when the broker has them all. */
    publish: (topic, events) =>
      new Promise((resolve, reject) => {
        const till = spawn("mosquitto_pub", ["-V", "5", "-p", `${port}`, "-q", "1", "-t", topic, "-l"], { env, stdio: ["pipe", "ignore", "inherit"] });
        till.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`mosquitto_pub ended with ${code}`))));
        till.stdin.end(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      }),
    /** What head office hears below a topic from now on. */
    hear: (topic) => {
      const heard = [];
      const office = spawn("mosquitto_sub", ["-V", "5", "-p", `${port}`, "-q", "1", "-t", topic], { env, stdio: ["ignore", "pipe", "inherit"] });
      listeners.push(office);
      let rest = "";
      office.stdout.on("data", (bytes) => {
        const lines = (rest + bytes).split("\n");
        rest = lines.pop();
        heard.push(...lines.map((line) => JSON.parse(line)));
      });
      return heard;
    },
    stop: async () => {
      for (const office of listeners) office.kill();
      program.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A file of numbered pictures, as a camera would give them; something moves in each. */
async function film(chrome, path, name, count) {
  const page = await chrome.newPage();
  const pictures = await page.evaluate(
    ([title, many]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
      const ink = canvas.getContext("2d");
      return Array.from({ length: many }, (_, n) => {
        const ground = ink.createLinearGradient(0, 0, 640, 480);
        ground.addColorStop(0, "#dfe4e1");
        ground.addColorStop(1, "#8d9a96");
        ink.fillStyle = ground;
        ink.fillRect(0, 0, 640, 480);
        ink.fillStyle = "#3c4f68";
        for (let x = 0; x < 640; x += 80) ink.fillRect(x, 300, 40, 180);
        ink.fillStyle = "#b0562f";
        ink.beginPath();
        ink.arc(60 + (520 * n) / many, 190, 60, 0, 7);
        ink.fill();
        ink.fillStyle = "#111";
        ink.font = "40px sans-serif";
        ink.fillText(`${title} ${n}`, 30, 60);
        return canvas.toDataURL("image/jpeg", 0.7).split(",")[1];
      });
    },
    [name, count],
  );
  await page.close();
  writeFileSync(path, Buffer.concat(pictures.map((text) => Buffer.from(text, "base64"))));
}

/**
 * A register of a store S07 on that broker, with what else is asked for; `again` starts it where it
 * was. The folder goes with `end`.
 */
export async function shop(mqtt, { chrome = null, listen = "127.0.0.1", logMib = 64 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "tillwatch-page-"));
  mkdirSync(join(folder, "data"));
  let config = `store_code = "S07"\nregister_id = "reg_01"\nopening_hours = "00:00-23:59"\n
[pos]\nenabled = true\n[pos.mqtt]\nhost = "127.0.0.1"\nport = ${mqtt.port}\n[uplink.mqtt]\nhost = "127.0.0.1"\nport = ${mqtt.port}\n
[storage]\nlog_mib = ${logMib}\nmedia_mib = 64\n`;
  if (chrome) {
    config += "[clips]\nwindow_s = 2\n";
    // Rates that do not fit one another: being in step has to come from the times.
    for (const [name, fps] of [["counter", 10], ["door", 7]]) {
      const path = join(folder, `${name}.mjpeg`);
      await film(chrome, path, name, 60);
      config += `[cameras.${name}]\nreplay = "${path}"\nfps = ${fps}\n`;
    }
  }
  const at = `${listen}:${await freePort()}`;
  const of = { register: null };
  of.again = async () => {
    of.register = await register(config, { folder, listen: at });
    return of.register;
  };
  of.end = async () => {
    await of.register?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  await of.again();
  return of;
}

let made = 0;
const run = Date.now().toString(36);

/** Something that a till says, with an id of its own. */
export function told(event_type, more = {}) {
  const id = `${run}-${made++}`;
  return { event_id: id, order_id: `ORD-${id}`, event_type, staff_id: "emp_7", amount: 12.5, ...more };
}
