/** The queue and the history follow the hub, whatever happens to it. */

import assert from "node:assert/strict";

import { card, gone, said, summaries, until } from "./steps.mjs";

export const tests = [];

function test(name, body, setup = {}) {
  tests.push([name, body, setup]);
}

test("the most urgent request comes first, also when it comes later", async (stage, hub) => {
  for (const [summary, urgency, seconds] of [["low", "LOW", 60], ["late", "HIGH", 900], ["soon", "HIGH", 300], ["medium", "MEDIUM", 50]]) hub.add({ summary, urgency, seconds });
  const page = await stage.signedIn("dora");
  await card(page, "low").waitFor();
  assert.deepEqual(await summaries(page), ["soon", "late", "medium", "low"]);
  hub.add({ summary: "worst", urgency: "CRITICAL" });
  hub.add({ summary: "sooner", urgency: "HIGH", seconds: 200 });
  await card(page, "sooner").waitFor();
  await card(page, "worst").waitFor();
  assert.deepEqual(await summaries(page), ["worst", "sooner", "soon", "late", "medium", "low"]);
  const first = await page.getByRole("article").first().innerText();
  for (const shown of ["worst", "CRITICAL", "APPROVAL", "ada"]) assert.ok(first.includes(shown), shown);
  assert.match(await page.title(), /^\(6\) Queue/);
});

test("time runs down", async (stage, hub) => {
  hub.add({ summary: "hurry", seconds: 40 });
  const page = await stage.signedIn("dora");
  const timer = card(page, "hurry").getByRole("timer");
  const before = await timer.textContent();
  await until("the timer moves", async () => (await timer.textContent()) !== before, 2_300);
});

test("what happens elsewhere is seen at once, and typing goes on", async (stage, hub) => {
  hub.add({ summary: "Typing here", intent: "REVIEW", urgency: "HIGH" });
  const [answered, cancelled, expired, moved] = ["Answered", "Cancelled", "Expired", "Moved"].map((summary) => hub.add({ summary: `${summary} one`, urgency: "CRITICAL" }));
  const page = await stage.signedIn("dora");
  const field = card(page, "Typing here").getByRole("textbox", { name: /answer/i });
  await field.click();
  await page.keyboard.type("half a ");
  hub.add({ summary: "A new one", urgency: "CRITICAL", seconds: 100 });
  await card(page, "A new one").waitFor();
  hub.answeredBy(answered.request_id, "emil", { decision: "approved" });
  hub.change(cancelled.request_id, { state: "CANCELLED" });
  hub.change(expired.request_id, { state: "TIMED_OUT" });
  hub.escalate(moved.request_id, "cleo-at-work");
  await page.keyboard.type("sentence");
  for (const summary of ["Answered one", "Cancelled one", "Expired one", "Moved one"]) await gone(page, summary);
  assert.equal(await field.inputValue(), "half a sentence");
  assert.ok(await field.evaluate((own) => own === document.activeElement));
  await said(page, /Answered one: was already answered by emil: approved/);
  await said(page, /Cancelled one: was cancelled/);
  await said(page, /Expired one: ran out of time/);
  await said(page, /Moved one: is no longer yours: it went to cleo-at-work/);
  assert.ok(await page.getByText("was already answered by emil").last().isVisible());
  assert.equal(hub.answers.length, 0);
});

test("an answer that came too late says who was faster, and what was typed stays", async (stage, hub) => {
  const request = hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).fill("my thoughts");
  // Nobody tells.
  hub.requests.set(request.request_id, { ...request, state: "DELIVERED", response_data: { decision: "rejected" }, responded_by: "emil" });
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await said(page, /already answered by emil: rejected/);
  await gone(page, "Deploy v2");
  await page.getByText("What you had typed").click();
  await page.getByText("my thoughts").waitFor();
});

test("a failure of the hub leaves card and text, and trying again works", async (stage, hub) => {
  hub.add({ summary: "Deploy v2" });
  hub.failures.push({ status: 503 });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).fill("keep me");
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await card(page, "Deploy v2").getByRole("alert").getByText(/failed/).waitFor();
  assert.equal(await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).inputValue(), "keep me");
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Deploy v2");
  assert.deepEqual(hub.answers[0].data, { decision: "approved", comment: "keep me" });
});

test("an answer whose confirmation is lost is found to be recorded", async (stage, hub) => {
  const request = hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").waitFor();
  hub.failures.push({ status: 502 });
  hub.requests.set(request.request_id, { ...request, state: "RESPONDED", response_data: { decision: "approved" }, responded_by: "dora" });
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await said(page, /Answer recorded: approved/);
  await gone(page, "Deploy v2");
});

test("the history tells what was decided by whom, and reads deliver nothing", async (stage, hub) => {
  const rejected = hub.add({ summary: "Delete accounts" });
  hub.answeredBy(rejected.request_id, "emil", { decision: "rejected", comment: "Ask first" });
  hub.change(hub.add({ summary: "Old one" }).request_id, { state: "TIMED_OUT" });
  const automatic = hub.add({ summary: "Renewal" });
  hub.answeredBy(automatic.request_id, "system:auto_approve", { decision: "approved", auto: true });
  const page = await stage.signedIn("dora");
  await page.getByRole("link", { name: "History" }).click();
  const entry = card(page, "Delete accounts");
  await entry.waitFor();
  for (const shown of [/rejected/i, /emil/, /Ask first/]) assert.match(await entry.innerText(), shown);
  assert.match(await card(page, "Renewal").innerText(), /approved automatically/i);
  assert.match(await card(page, "Old one").innerText(), /timed out/i);
  await stage.accessible(page, "the history");
  await page.getByRole("searchbox").fill("accounts");
  await until("it is searched", async () => (await page.getByRole("article").count()) === 1);
  await entry.locator("summary").click();
  await entry.getByText("Submitted").waitFor();
  // What ends meanwhile appears.
  await page.getByRole("searchbox").fill("");
  hub.answeredBy(hub.add({ summary: "Ended meanwhile" }).request_id, "emil", { decision: "approved" });
  await card(page, "Ended meanwhile").waitFor();
  assert.equal([...hub.requests.values()].filter((request) => request.state === "DELIVERED").length, 0);
});

test("a lost connection is told, comes back and brings what was missed", async (stage, hub) => {
  const away = hub.add({ summary: "Answered meanwhile" });
  const page = await stage.signedIn("dora");
  await card(page, "Answered meanwhile").waitFor();
  await hub.away(async () => {
    await page.getByText("Connection lost, reconnecting…").first().waitFor();
    hub.answeredBy(away.request_id, "emil", { decision: "approved" });
    hub.add({ summary: "Asked meanwhile" });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  });
  await until("it is live again", async () => page.getByText("Live", { exact: true }).isVisible(), 20_000);
  await card(page, "Asked meanwhile").waitFor();
  await gone(page, "Answered meanwhile");
  await said(page, /already answered by emil/);
});

test("offline and back", async (stage, hub) => {
  const page = await stage.signedIn("dora");
  await page.context().setOffline(true);
  await page.getByText("Connection lost, reconnecting…").first().waitFor();
  hub.add({ summary: "Asked meanwhile" });
  await page.context().setOffline(false);
  await card(page, "Asked meanwhile").waitFor({ timeout: 20_000 });
});

test("a link leads to its request, through the login too", async (stage, hub) => {
  const requests = Array.from({ length: 60 }, (_, index) => hub.add({ summary: `Request number ${index}`, urgency: "LOW", seconds: 1000 + index }));
  const last = requests[59];
  const page = await stage.signedIn("dora", { query: `&request_id=${last.request_id}` });
  await card(page, "Request number 59").waitFor();
  await until("it is in view", () => card(page, "Request number 59").evaluate((own) => own.getBoundingClientRect().top >= 0 && own.getBoundingClientRect().top < innerHeight));
  assert.match(page.url(), /request_id=/);
  // All are reachable.
  await page.getByRole("button", { name: /more/ }).click();
  await until("all are there", async () => (await page.getByRole("article").count()) === 60);
  const done = hub.add({ summary: "Decided before" });
  hub.answeredBy(done.request_id, "emil", { decision: "approved" });
  await page.goto(`${hub.url}/portal/?responder_id=dora&request_id=${done.request_id}`);
  await page.getByText("was already answered by emil").waitFor();
});
