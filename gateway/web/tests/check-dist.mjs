// Whether dist is what its source makes: builds beside it and compares. With --write, puts it there.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const fresh = mkdtempSync(join(tmpdir(), "tillwatch-dist-"));

function files(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name.toString()))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(folder, path))
    .sort();
}

/** Compressors differ between versions of Node: what counts is what comes out. */
function content(folder, name) {
  const bytes = readFileSync(join(folder, name));
  if (name.endsWith(".br")) return brotliDecompressSync(bytes);
  if (name.endsWith(".gz")) return gunzipSync(bytes);
  return bytes;
}

try {
  execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "--outDir", fresh, "--emptyOutDir", "--logLevel", "warn"], {
    cwd: root,
    stdio: "inherit",
  });
  if (process.argv.includes("--write")) {
    rmSync(dist, { recursive: true, force: true });
    cpSync(fresh, dist, { recursive: true });
  }
  const [had, has] = [files(dist), files(fresh)];
  const differ = [...new Set([...had, ...has])].filter((name) => !had.includes(name) || !has.includes(name) || !content(dist, name).equals(content(fresh, name)));
  if (differ.length > 0) {
    console.error(`gateway/web/dist is not what its source makes; run \`npm run build\` there. Different: ${differ.join(", ")}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
