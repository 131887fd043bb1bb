/** Every example of the README compiles as it stands there. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const PLACE = join(PACKAGE, "build", "snippets");

/** What stands around an example of this label in its reader's program. */
const AROUND: Record<string, [string, string]> = {
  "": ['import type { HCPClient as Client } from "hcp/sdk";\ndeclare const hcp: Client;\nexport {};\n', ""],
  whole: ["export {};\n", ""],
  "nanoclaw-case": [
    `import type { CreateCRInput } from "hcp/sdk";
interface IpcTask { type: string; id: string; params: CreateCRInput }
export declare function answerAgent(task: IpcTask, resultsDir: string): Promise<void>;
export async function processTaskIpc(task: IpcTask, resultsDir: string): Promise<unknown> {
switch (task.type) {
`,
    "}\nreturn resultsDir;\n}\n",
  ],
  "nanoclaw-tool": [
    `import type { z } from "zod";
declare const IPC_DIR: string;
declare const TASKS_DIR: string;
declare function writeIpcFile(dir: string, data: object): string;
interface Content { content: { type: "text"; text: string }[] }
declare const server: {
  tool<Shape extends z.ZodRawShape>(
    name: string, description: string, shape: Shape, run: (args: z.output<z.ZodObject<Shape>>) => Promise<Content>,
  ): void;
};
`,
    "",
  ],
};

/** The TypeScript of a page: label and text of each block. */
function snippets(page: string): { label: string; text: string }[] {
  return [...page.matchAll(/^```ts *(\S*)\n(.*?)^```$/gms)].map(([, label = "", text = ""]) => ({ label, text }));
}

/** What the compiler says of these files; nothing if all is well. */
function complaints(files: Record<string, string>): Promise<string> {
  const names = Object.entries(files).map(([name, text]) => {
    writeFileSync(join(PLACE, name), text);
    return name;
  });
  const source = ["../../src/hcp/index.ts"];
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: {
      noEmit: true,
      rootDir: "../..",
      noUnusedLocals: false,
      paths: { "hcp/sdk": source, "@hxa-connect/sdk/hcp": source },
    },
    include: [],
    files: names,
  };
  writeFileSync(join(PLACE, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(PACKAGE, "node_modules", "typescript", "bin", "tsc");
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, "-p", PLACE, "--pretty", "false"], (_, stdout) => resolve(stdout));
  });
}

before(() => {
  rmSync(PLACE, { recursive: true, force: true });
  mkdirSync(PLACE, { recursive: true });
});

test("every example of the README compiles", async () => {
  const found = snippets(readFileSync(join(PACKAGE, "README.md"), "utf8"));
  assert.ok(found.length >= 10, `only ${found.length} examples`);
  for (const label of Object.keys(AROUND)) assert.ok(found.some((one) => one.label === label), `none of ${label}`);
  const files = found.map(({ label, text }, n): [string, string] => {
    const [head, tail] = AROUND[label] ?? assert.fail(`unknown label ${label}`);
    return [`example-${n}.ts`, head + text + tail];
  });
  assert.equal(await complaints(Object.fromEntries(files)), "");
});

test("an example that is wrong does not", async () => {
  const [head] = AROUND[""] ?? assert.fail();
  const said = await complaints({ "wrong.ts": `${head}await hcp.submit({ intent: "APPROVE" });\n` });
  assert.match(said, /wrong\.ts\(4,.*error TS/);
});
