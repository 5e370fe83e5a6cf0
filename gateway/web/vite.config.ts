import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const SMALL = 1_000;

/** Puts compressed siblings beside text files: the program sends them as they are. */
function compressed(): Plugin {
  let out = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (config) => {
      out = resolve(config.root, config.build.outDir);
    },
    closeBundle: () => {
      const visit = (folder: string): void => {
        for (const name of readdirSync(folder)) {
          const path = join(folder, name);
          if (statSync(path).isDirectory()) visit(path);
          else if (/\.(js|css|html|svg|webmanifest)$/.test(name)) {
            const plain = readFileSync(path);
            if (plain.length < SMALL) continue;
            const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
            writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: quality }));
            writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }));
          }
        }
      };
      visit(out);
    },
  };
}

const daemon = process.env["TILLWATCH_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  plugins: [compressed()],
  build: {
    target: "es2022",
    // The policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": { target: daemon, headers: { origin: daemon } }, "/healthz": daemon } },
  test: { include: ["tests/unit/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
