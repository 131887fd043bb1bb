/**
 * Builds the pages into a folder, by default `dist`, which is checked in: the hub is compiled without Node.
 *
 *   node build.mjs [FOLDER]
 *
 * The same sources give the same bytes. Hashes of names and the base path are the hub's to fill in.
 */

import { build } from "esbuild";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const folder = path.resolve(process.argv[2] ?? path.join(here, "dist"));
const source = (name) => path.join(here, "src", name);

/** What ends up in the bundle, beside our own code. */
const SHIPPED = ["preact", "@preact/signals", "@preact/signals-core"];

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });

await build({
  absWorkingDir: here,
  entryPoints: [
    { in: source("portal/main.tsx"), out: "portal" },
    { in: source("styles/portal.css"), out: "portal" },
  ],
  outdir: folder,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome120", "firefox128", "safari17"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});

for (const language of ["en", "zh"]) {
  const texts = JSON.parse(await readFile(source(`i18n/${language}.json`), "utf8"));
  await writeFile(path.join(folder, `${language}.json`), JSON.stringify(texts));
}
await copyFile(source("portal/portal.html"), path.join(folder, "portal.html"));
await copyFile(source("portal/icon.svg"), path.join(folder, "icon.svg"));

const licences = await Promise.all(
  SHIPPED.map(async (name) => {
    const root = path.join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
    const text = (await readFile(path.join(root, "LICENSE"), "utf8")).trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  }),
);
await writeFile(path.join(folder, "licenses.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
