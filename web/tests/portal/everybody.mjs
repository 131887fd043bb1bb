/** Whatever an agent sends and whoever looks: it is safe, fits, and can be used. */

import assert from "node:assert/strict";

import { card, REFUND, said } from "./steps.mjs";

export const tests = [];

function test(name, body, setup = {}) {
  tests.push([name, body, setup]);
}

test("everything that an agent sent is text", async (stage, hub) => {
  const evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
  hub.add({
    summary: evil,
    detail: `${evil} javascript:alert(1) data:text/html,x https://example.com/a`,
    metadata: { [evil]: evil, nested: { a: [1, { b: evil }] }, link: "javascript:alert(1)" },
    attachments: [{ type: evil, name: "notes.txt", content: evil }],
    agent_id: evil,
  });
  const page = await stage.signedIn("dora");
  const own = page.getByRole("article");
  await own.waitFor();
  const text = await own.textContent();
  assert.ok(text.split(evil).length > 7, "it is all there");
  for (const shown of ["nested", "notes.txt", "javascript:alert(1)"]) assert.ok(text.includes(shown), shown);
  assert.deepEqual(await own.locator("a").evaluateAll((links) => links.map((link) => link.href)), ["https://example.com/a"]);
  assert.equal(await own.locator("img, script").count(), 0);
  assert.match(await page.title(), /Queue/);
  await own.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  assert.ok(await own.locator("pre").filter({ hasText: "onerror" }).last().isVisible());
  const [download] = await Promise.all([page.waitForEvent("download"), own.getByRole("button", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "notes.txt");
});

test("a narrow screen shows everything without scrolling sideways", async (stage, hub) => {
  const long = "x".repeat(150);
  hub.add({ summary: long, detail: long, metadata: { [long]: long, nested: { [long]: long } }, attachments: [{ type: long, name: long, content: long }], agent_id: long, trace_id: long, responder_id: "dora" });
  hub.add({ summary: "Choice", intent: "DECISION", response_schema: { type: "choice", options: [{ key: "a", label: long, description: long }] } });
  hub.add({ summary: "Form", intent: "INPUT", response_schema: { type: "structured", json_schema: { type: "object", properties: { [long]: { type: "string", description: long } } } } });
  const page = await stage.signedIn("dora", { width: 390, height: 844 });
  await card(page, "Form").waitFor();
  await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.ok(await fits(), "the queue");
  for (const name of [/^Approve/, /^Reject/]) {
    const box = await card(page, long).getByRole("button", { name }).first().boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 390 && box.width >= 24 && box.height >= 24, `${name}`);
  }
  await stage.accessible(page, "a narrow queue");
  await card(page, long).first().getByRole("button", { name: /^Approve/ }).click();
  await said(page, /recorded/);
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("article").first().waitFor();
  await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  assert.ok(await fits(), "the history");
  await page.setViewportSize({ width: 320, height: 600 });
  assert.ok(await fits(), "320 px");
});

for (const theme of ["light", "dark"]) {
  test(`everybody can use it: ${theme}`, async (stage, hub) => {
    hub.add({ summary: "Critical", urgency: "CRITICAL", seconds: 30, detail: "text https://example.com", metadata: { a: 1, b: { c: 2 } }, attachments: [{ type: "text/plain", name: "a.txt", content: "x" }], allow_edit: true });
    hub.add({ summary: "High", urgency: "HIGH", intent: "DECISION", response_schema: { type: "choice", options: [{ key: "a", label: "A", description: "d" }] } });
    hub.add({ summary: "Low", urgency: "LOW", intent: "INPUT", response_schema: { type: "structured", json_schema: REFUND } });
    const page = await stage.signedIn("dora", { theme });
    await card(page, "Low").waitFor();
    await card(page, "High").getByRole("radio").check();
    await card(page, "Critical").locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
    await card(page, "Critical").getByRole("button", { name: "Timeline" }).click();
    await card(page, "High").getByRole("button", { name: "Delegate" }).click();
    await stage.accessible(page, "the queue");
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor !== "" && getComputedStyle(document.documentElement).colorScheme), theme);
  });
}

test("an empty queue says so, and everybody can use it", async (stage) => {
  const page = await stage.signedIn("dora");
  await page.getByText("No pending requests").waitFor();
  await stage.accessible(page, "an empty queue");
});

test("theme and language are switched and remembered", async (stage, hub) => {
  hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await page.getByRole("button", { name: /account/i }).click();
  await page.getByLabel("Theme").selectOption("dark");
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "dark");
  await page.getByLabel("Language").selectOption("zh");
  await page.getByRole("heading", { level: 1, name: "待办" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
  await card(page, "Deploy v2").getByRole("button", { name: "批准" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "待办" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await stage.accessible(page, "in Chinese");
});
