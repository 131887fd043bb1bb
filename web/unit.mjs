/** Bundles the unit tests for this version of Node and runs them. */

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const folder = await mkdtemp(path.join(os.tmpdir(), "hxa-web-unit."));
try {
  const names = (await readdir(path.join(here, "tests/unit"))).filter((name) => name.endsWith(".test.ts"));
  const entryPoints = names.map((name) => path.join(here, "tests/unit", name));
  await build({ entryPoints, outdir: folder, outExtension: { ".js": ".mjs" }, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning" });
  const files = names.map((name) => path.join(folder, name.replace(/\.ts$/, ".mjs")));
  const { status } = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit", env: { ...process.env, WEB_FOLDER: here } });
  process.exitCode = status ?? 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
