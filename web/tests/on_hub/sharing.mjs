/** What others do meanwhile: people, agents and the clock. */

import assert from "node:assert/strict";

import { card, gone, said, summaries, until } from "../portal/steps.mjs";

export const tests = [];

function test(name, body) {
  tests.push([name, body, undefined]);
}

test("what happens elsewhere is seen at once, and typing goes on", async (stage, hub) => {
  await hub.add({ summary: "Typing here", intent: "REVIEW", urgency: "HIGH" });
  const answered = await hub.add({ summary: "Answered one", urgency: "CRITICAL" });
  const cancelled = await hub.add({ summary: "Cancelled one", urgency: "CRITICAL" });
  const page = await stage.signedIn("dora");
  const field = card(page, "Typing here").getByRole("textbox", { name: /answer/i });
  await field.click();
  await page.keyboard.type("half a ");
  await hub.add({ summary: "Expired one", seconds: 5, policy: { fallback: "BLOCK" } });
  await hub.add({ summary: "Automatic one", seconds: 5, policy: { fallback: "AUTO_APPROVE" } });
  await hub.add({ summary: "Moved one", seconds: 5, policy: { fallback: "ESCALATE", escalation_responder_id: "emil" } });
  await card(page, "Moved one").waitFor();
  await hub.answerAs("emil", answered, { decision: "approved" });
  await hub.cancel(cancelled);
  await page.keyboard.type("sentence");
  for (const summary of ["Answered one", "Cancelled one", "Expired one", "Automatic one", "Moved one"]) await gone(page, summary, 10_000);
  assert.equal(await field.inputValue(), "half a sentence");
  assert.ok(await field.evaluate((own) => own === document.activeElement));
  await page.getByText(/was already answered by emil: approved/).last().waitFor();
  await page.getByText(/was cancelled/).last().waitFor();
  await page.getByText(/ran out of time and has expired/).last().waitFor();
  await page.getByText(/answered automatically: approved/).last().waitFor();
  await page.getByText(/is no longer yours: it went to emil/).last().waitFor();
  await stage.accessible(page, "requests that left");
  await stage.picture(page, "left-elsewhere");
});

test("an answer that came too late says who was faster, and what was typed stays", async (stage, hub) => {
  const id = await hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).fill("my thoughts");
  await page.route("**/respond", async (route) => {
    await hub.answerAs("emil", id, { decision: "rejected" });
    await route.continue();
  });
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await said(page, /already answered by emil: rejected/);
  await gone(page, "Deploy v2");
  await page.getByText("What you had typed").click();
  await page.getByText("my thoughts").waitFor();
  await stage.picture(page, "too-late");
  assert.equal((await hub.answer(id)).by, "emil");
});

test("an answer after the deadline is told to be late", async (stage, hub) => {
  const page = await stage.signedIn("dora");
  await hub.add({ summary: "Hurry", seconds: 6, policy: { fallback: "FAIL" } });
  await card(page, "Hurry").waitFor();
  const timer = card(page, "Hurry").getByRole("timer");
  const before = await timer.textContent();
  await until("the timer moves", async () => (await timer.textContent()) !== before, 2_300);
  await page.route("**/respond", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 6_200));
    await route.continue();
  });
  await card(page, "Hurry").getByRole("button", { name: /^Approve/ }).click();
  await until("it is told", async () => /ran out of time and has expired/.test((await page.getByRole("status").allTextContents()).join()), 12_000);
});

test("several decide together, and each votes once", async (stage, hub) => {
  await hub.person("fay");
  const hints = { quorum: { of: ["dora", "fay", "gus"], need: 2 } };
  const id = await hub.add({ summary: "Launch", hints });
  const page = await stage.signedIn("dora");
  await card(page, "Launch").getByText(/Needs 2 of dora, fay, gus/).waitFor();
  await stage.picture(page, "quorum");
  await card(page, "Launch").getByRole("button", { name: /^Approve/ }).click();
  await said(page, /recorded/);
  await gone(page, "Launch");
  await page.reload();
  await page.getByText("No pending requests").waitFor();
  assert.equal((await hub.read(id)).state, "PENDING_RESPONSE");
  await hub.answerAs("fay", id, { decision: "approved" });
  const { data } = await hub.answer(id);
  assert.equal(data.decision, "approved");
  await page.getByRole("link", { name: "History" }).click();
  await card(page, "Launch").locator("summary").click();
  await until("both votes are there", async () => (await card(page, "Launch").getByText(/Vote recorded: approved/).count()) === 2);
  await stage.picture(page, "quorum-history");
});

test("a quorum that was escalated away is no longer asked", async (stage, hub) => {
  const page = await stage.signedIn("dora");
  await hub.add({ summary: "Launch", seconds: 5, hints: { quorum: { of: ["dora", "fay"], need: 2 } }, policy: { fallback: "ESCALATE", escalation_responder_id: "gus" } });
  await card(page, "Launch").waitFor();
  await gone(page, "Launch", 10_000);
  await page.getByText(/is no longer yours/).last().waitFor();
});

test("a coordinator sees all, hands over, lends and cancels", async (stage, hub) => {
  const [first, second, third] = [await hub.add({ summary: "First" }), await hub.add({ summary: "Second" }), await hub.add({ summary: "Third", to: "nobody-yet" })];
  const dora = await stage.signedIn("dora");
  await card(dora, "First").waitFor();
  assert.equal(await card(dora, "Third").count(), 0);
  const page = await stage.signedIn("emil");
  await card(page, "Third").waitFor();
  for (const summary of ["First", "Second", "Third"]) await card(page, summary).getByRole("button", { name: "Reassign, delegate or cancel" }).click();
  await stage.picture(page, "coordinator");
  await card(page, "First").getByLabel("Handle of another person").fill("emil");
  await card(page, "First").getByRole("button", { name: "Reassign", exact: true }).click();
  await gone(dora, "First");
  await dora.getByText(/is no longer yours: it went to emil/).last().waitFor();
  await card(page, "Second").getByLabel("Handle of another person").fill("emil");
  await card(page, "Second").getByRole("button", { name: "Delegate", exact: true }).click();
  await card(page, "Second").getByText("emil may answer too").waitFor();
  await card(dora, "Second").getByText("emil may answer too").waitFor();
  await card(page, "Third").getByRole("button", { name: "Cancel the request" }).click();
  await stage.picture(page, "cancel-dialog", false);
  await page.getByRole("dialog").getByRole("button", { name: /Yes/ }).click();
  await gone(page, "Third");
  assert.equal((await hub.read(third)).state, "CANCELLED");
  assert.equal((await hub.read(first)).responder_id, "emil");
  assert.equal((await hub.read(second)).delegated_to, "emil");
  await card(page, "Second").getByRole("button", { name: "Timeline" }).click();
  await card(page, "Second").getByText("Delegated: emil").waitFor();
  await stage.picture(page, "timeline");
});

test("a responder lends a request, and both may answer it", async (stage, hub) => {
  await hub.person("fay");
  const id = await hub.add({ summary: "Holiday cover" });
  const [dora, fay] = [await stage.signedIn("dora"), await stage.signedIn("fay")];
  await card(dora, "Holiday cover").getByRole("button", { name: "Delegate" }).click();
  await card(dora, "Holiday cover").getByLabel("Handle of another person").fill("fay");
  await card(dora, "Holiday cover").getByRole("button", { name: "Delegate", exact: true }).last().click();
  await card(fay, "Holiday cover").getByRole("button", { name: /^Approve/ }).click();
  await gone(fay, "Holiday cover");
  await gone(dora, "Holiday cover");
  assert.equal((await hub.answer(id)).by, "fay");
});

test("an auditor reads and changes nothing", async (stage, hub) => {
  await hub.person("ann", "auditor");
  await hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("ann");
  await card(page, "Deploy v2").getByText(/can read this request/).waitFor();
  assert.equal(await card(page, "Deploy v2").getByRole("button", { name: /Approve|Reject|Delegate/ }).count(), 0);
  await stage.picture(page, "auditor");
});

test("creating a person hands over what waited under the name", async (stage, hub) => {
  const id = await hub.add({ summary: "Long ago", to: "Gus" });
  await hub.person("gus");
  const page = await stage.signedIn("gus");
  await card(page, "Long ago").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Long ago");
  assert.equal((await hub.answer(id)).by, "gus");
});

test("the most urgent request comes first, and all of many are reachable", async (stage, hub) => {
  for (const [summary, urgency, seconds] of [["low", "LOW", 60], ["late", "HIGH", 900], ["soon", "HIGH", 300], ["medium", "MEDIUM", 50]]) await hub.add({ summary, urgency, seconds });
  const page = await stage.signedIn("dora");
  await card(page, "low").waitFor();
  assert.deepEqual(await summaries(page), ["soon", "late", "medium", "low"]);
  await hub.add({ summary: "worst", urgency: "CRITICAL" });
  await card(page, "worst").waitFor();
  assert.equal((await summaries(page))[0], "worst");
  const last = (await Promise.all(Array.from({ length: 60 }, (_, index) => hub.add({ summary: `Number ${index}.`, urgency: "LOW", seconds: 1000 + index }))))[59];
  const other = await stage.signedIn("dora", { query: `&request_id=${last}` });
  await until("it is in view", () => card(other, "Number 59.").evaluate((own) => own.getBoundingClientRect().top >= 0 && own.getBoundingClientRect().top < innerHeight));
  await stage.picture(other, "linked", false);
  await other.getByRole("button", { name: /more/ }).click();
  await until("all are there", async () => (await other.getByRole("article").count()) === 65);
});
