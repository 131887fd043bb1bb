/** What is seen: history, context, screens of all kinds, both languages. */

import assert from "node:assert/strict";

import { card, REFUND, said, until } from "../portal/steps.mjs";

export const tests = [];

function test(name, body) {
  tests.push([name, body, undefined]);
}

/** A queue with a request of each kind. */
async function everything(hub) {
  await hub.add({
    summary: "Deploy v2.1.0 to production",
    urgency: "CRITICAL",
    seconds: 55,
    detail: "Includes new auth flow and 3 bug fixes.\nSee https://example.com/changes for the list.",
    metadata: { branch: "main", checks: { unit: "green", load: [1, 2, 3] }, risk: "low" },
    attachments: [{ type: "text/plain", name: "changes.txt", content: "one\ntwo" }],
    allow_edit: true,
    trace_id: "deploy-42",
  });
  const options = [{ key: "pg", label: "PostgreSQL", description: "Known well" }, { key: "my", label: "MySQL" }];
  await hub.add({ summary: "Which database should we migrate to?", urgency: "HIGH", intent: "DECISION", response_schema: { type: "choice", options } });
  await hub.add({ summary: "Refund of order 4711", urgency: "MEDIUM", intent: "INPUT", response_schema: { type: "structured", json_schema: REFUND } });
  await hub.add({ summary: "What tone should the reply have?", urgency: "LOW", intent: "CLARIFICATION" });
  await hub.add({ summary: "The backup is done", urgency: "LOW", intent: "NOTIFICATION" });
}

for (const [theme, width] of [["light", 1200], ["dark", 1200], ["light", 390], ["dark", 390]]) {
  test(`everybody can use it: ${theme}, ${width} px`, async (stage, hub) => {
    await everything(hub);
    const page = await stage.signedIn("dora", { theme, width, height: width === 390 ? 844 : 900 });
    await card(page, "The backup is done").waitFor();
    await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
    await stage.picture(page, `queue-${theme}-${width}`);
    await stage.accessible(page, "the queue");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is beside the screen");
    for (const name of [/^Approve/, /^Reject/]) {
      const box = await card(page, "Deploy").getByRole("button", { name }).first().boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= width && box.width >= 24 && box.height >= 24, `${name}`);
    }
  });
}

for (const [locale, title, approve] of [["zh-CN", "待办", "批准"], ["en-US", "Queue", "Approve"]]) {
  test(`the browser's language is spoken: ${locale}`, async (stage, hub) => {
    await everything(hub);
    const page = await stage.signedIn("dora", { locale });
    await page.getByRole("heading", { level: 1, name: title }).waitFor();
    await card(page, "Deploy").getByRole("button", { name: approve }).waitFor();
    await stage.picture(page, `queue-${locale}`);
    await card(page, "The backup is done").getByRole("button").first().click();
    await page.goto(`${hub.url}/portal/history`);
    await page.getByRole("article").first().waitFor();
    await stage.accessible(page, locale);
    await stage.picture(page, `history-${locale}`);
  });
}

test("everything that an agent sent is text", async (stage, hub) => {
  const evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
  await hub.add({
    summary: evil,
    detail: `${evil} javascript:alert(1) data:text/html,x https://example.com/a`,
    metadata: { [evil]: evil, nested: { a: [1, { b: evil }] }, link: "javascript:alert(1)" },
    attachments: [{ type: evil, name: "notes.txt", content: evil }],
    trace_id: evil,
  });
  const page = await stage.signedIn("dora");
  const own = page.getByRole("article");
  await own.waitFor();
  await own.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  assert.deepEqual(await own.locator("a").evaluateAll((links) => links.map((link) => link.href)), ["https://example.com/a"]);
  assert.equal(await own.locator("img, script").count(), 0);
  assert.match(await page.title(), /Queue/);
  const [download] = await Promise.all([page.waitForEvent("download"), own.getByRole("button", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "notes.txt");
  await stage.picture(page, "hostile-text");
});

test("long words do not widen a narrow screen", async (stage, hub) => {
  const long = "x".repeat(150);
  await hub.add({ summary: long, detail: long, metadata: { [long]: long, nested: { [long]: long } }, attachments: [{ type: long, name: long, content: long }], trace_id: long });
  const page = await stage.signedIn("dora", { width: 390, height: 844 });
  await card(page, long).waitFor();
  await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await stage.picture(page, "long-words-390");
  await card(page, long).getByRole("button", { name: /^Approve/ }).click();
  await said(page, /recorded/);
});

test("the history tells what was decided by whom, and reads deliver nothing", async (stage, hub) => {
  await hub.answerAs("dora", await hub.add({ summary: "Delete accounts" }), { decision: "rejected", comment: "Ask first" });
  await hub.add({ summary: "Renewal", seconds: 1, policy: { fallback: "AUTO_APPROVE" } });
  await hub.add({ summary: "Old one", seconds: 1, policy: { fallback: "SKIP" } });
  await hub.cancel(await hub.add({ summary: "Withdrawn" }));
  await hub.add({ summary: "Handed up", seconds: 1, policy: { fallback: "ESCALATE", escalation_responder_id: "emil" } });
  const page = await stage.signedIn("dora");
  await page.getByRole("link", { name: "History" }).click();
  await card(page, "Delete accounts").waitFor();
  await card(page, "Renewal").waitFor();
  await card(page, "Old one").waitFor();
  for (const shown of [/rejected/i, /dora/, /Ask first/]) assert.match(await card(page, "Delete accounts").innerText(), shown);
  assert.match(await card(page, "Renewal").innerText(), /approved automatically/i);
  assert.match(await card(page, "Old one").innerText(), /timed out/i);
  assert.match(await card(page, "Withdrawn").innerText(), /cancelled/i);
  await stage.accessible(page, "the history");
  await stage.picture(page, "history");
  const other = await stage.signedIn("emil");
  await other.getByRole("link", { name: "History" }).click();
  await card(other, "Handed up").locator("summary").click();
  await card(other, "Handed up").getByText("Escalated").waitFor();
  await stage.picture(other, "history-details");
  await page.getByRole("searchbox").fill("accounts");
  await until("it is searched", async () => (await page.getByRole("article").count()) === 1);
  const { requests } = await hub.agent.good("GET", "/v1/requests?state=DELIVERED");
  assert.deepEqual(requests, []);
});
