/** What the browser tests stand on: pages of people on a hub, and the run of all tests. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

import { PATIENCE } from "./portal/steps.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
/** What a test has: a hub, and pages of people on it. */
class Stage {
  contexts = [];
  troubles = [];

  constructor(hub) {
    this.hub = hub;
  }

  async open(options = {}) {
    const { width = 1200, height = 900, theme = "light", locale = "en-US" } = options;
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale, reducedMotion: "reduce" });
    this.contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(6_000 * PATIENCE);
    page.on("pageerror", (error) => this.troubles.push(`script error: ${error.message}`));
    page.on("console", (message) => {
      // The browser says of every answer with 4xx and 5xx that it failed; those are part of the tests.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) this.troubles.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const isOwn = request.url().startsWith(this.hub.origin) || request.url().startsWith("blob:");
      if (!isOwn) this.troubles.push(`a request to ${request.url()}`);
    });
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`refused by policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    return page;
  }

  /** A page of somebody who has come by a link. */
  async signedIn(handle, options = {}) {
    const page = await this.open(options);
    await page.goto((await this.hub.link(handle)) + (options.query ?? ""));
    await page.getByRole("heading", { level: 1, name: /Queue|待办/ }).waitFor();
    await page.getByText(/^(Live|实时)$/).waitFor();
    return page;
  }

  /** Nothing that a tool finds serious about who can use the page. */
  async accessible(page, what) {
    await page.evaluate(AXE);
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    const faults = found.violations.filter((one) => ["serious", "critical", "moderate"].includes(one.impact));
    const told = faults.map((one) => `${one.id}: ${one.help} (${one.nodes.map((node) => node.target.join(" ")).join(", ")})`);
    if (told.length > 0) throw new Error(`${what}: ${told.join("\n")}`);
  }

  /** Keeps a picture for people to look at, if a folder for them is named. */
  async picture(page, name, isWhole = true) {
    const folder = process.env.HXA_PICTURES;
    if (folder === undefined) return;
    if (isWhole) await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: `${folder}/${name}.png`, fullPage: isWhole });
  }

  async end() {
    for (const context of this.contexts) await context.close();
    await this.hub.close();
  }
}

/** Runs the tests whose names have these words, each on a hub of its own; `start` gets what a test wants of it. */
export async function runAll(tests, wanted, start) {
  let [passed, failed] = [0, 0];
  for (const [name, body, setup] of tests) {
    if (!name.includes(wanted)) continue;
    const began = performance.now();
    let stage;
    try {
      stage = new Stage(await start(setup));
      await body(stage, stage.hub);
      if (stage.troubles.length > 0) throw new Error(stage.troubles.join("\n"));
      passed++;
      console.log(`ok   ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}\n${error.stack ?? error}`);
    } finally {
      await stage?.end().catch((error) => console.log(`the stage of "${name}" did not end: ${error}`));
    }
  }
  await browser.close();
  console.log(`browser: ${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
