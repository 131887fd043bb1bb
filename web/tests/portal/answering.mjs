/** Every way in which a request is answered or handed on. */

import assert from "node:assert/strict";

import { card, gone, REFUND, said, until } from "./steps.mjs";

export const tests = [];

function test(name, body, setup = {}) {
  tests.push([name, body, setup]);
}

test("an approval is given by keyboard alone, with a comment", async (stage, hub) => {
  const request = hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Looks fine");
  await page.keyboard.press("Tab");
  const approve = card(page, "Deploy v2").getByRole("button", { name: /^Approve/ });
  assert.ok(await approve.evaluate((button) => button === document.activeElement && button.matches(":focus-visible")));
  assert.notEqual(await approve.evaluate((button) => getComputedStyle(button).outlineStyle), "none");
  await page.keyboard.press("Enter");
  await said(page, /recorded: approved/i);
  await gone(page, "Deploy v2");
  assert.deepEqual(hub.answers, [{ id: request.request_id, data: { decision: "approved", comment: "Looks fine" }, by: "dora" }]);
  await page.getByText("No pending requests").waitFor();
});

test("a rejection needs no comment, and a second press does nothing", async (stage, hub) => {
  hub.add({ summary: "Delete it all" });
  hub.add({ summary: "Stay" });
  hub.answerDelay = 300;
  const page = await stage.signedIn("dora");
  await card(page, "Delete it all").getByRole("button", { name: /^Reject/ }).dblclick();
  await said(page, /rejected/);
  await gone(page, "Delete it all");
  assert.deepEqual(hub.answers.map((answer) => answer.data), [{ decision: "rejected" }]);
  await until("the focus is at the next request", () => page.evaluate(() => document.activeElement?.textContent === "Stay"));
});

test("a proposal is edited where that is allowed", async (stage, hub) => {
  hub.add({ summary: "Reply", detail: "Dear customer", allow_edit: true });
  hub.add({ summary: "Fixed", detail: "As it is" });
  const page = await stage.signedIn("dora");
  await card(page, "Fixed").waitFor();
  assert.equal(await card(page, "Fixed").getByRole("button", { name: "Edit the proposal" }).count(), 0);
  await card(page, "Reply").getByRole("button", { name: "Edit the proposal" }).click();
  await card(page, "Reply").getByRole("textbox", { name: "Proposal" }).fill("Dear Ann");
  await card(page, "Reply").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Reply");
  assert.deepEqual(hub.answers[0].data, { decision: "approved", edited: "Dear Ann" });
});

test("a proposal with a schema is edited in its fields", async (stage, hub) => {
  const response_schema = { type: "structured", json_schema: REFUND };
  hub.add({ summary: "Refund", allow_edit: true, response_schema, metadata: { reason: "late", amount: 20, count: 1 } });
  hub.add({ summary: "Budget", response_schema });
  const page = await stage.signedIn("dora");
  await card(page, "Refund").getByRole("button", { name: "Edit the proposal" }).click();
  const amount = card(page, "Refund").getByRole("spinbutton", { name: "amount" });
  assert.equal(await amount.inputValue(), "20");
  await amount.fill("900");
  await card(page, "Refund").getByRole("button", { name: /^Approve/ }).click();
  await until("the field is marked", async () => (await amount.getAttribute("aria-invalid")) === "true");
  await amount.fill("10");
  await card(page, "Refund").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Refund");
  // What has a form of its own is rejected without it.
  await card(page, "Budget").getByRole("button", { name: /^Reject/ }).click();
  await gone(page, "Budget");
  assert.deepEqual(hub.answers.map((answer) => answer.data), [{ decision: "approved", edited: { reason: "late", amount: 10, count: 1, notify: false } }, { decision: "rejected" }]);
});

test("one of several options is chosen, or several", async (stage, hub) => {
  const options = [{ key: "pg", label: "PostgreSQL", description: "Known well" }, { key: "my", label: "MySQL" }, { key: "no", label: "Neither" }];
  hub.add({ summary: "Which one", intent: "DECISION", response_schema: { type: "choice", options } });
  hub.add({ summary: "Which ones", intent: "DECISION", response_schema: { type: "choice", options, multiple: true } });
  const page = await stage.signedIn("dora");
  const one = card(page, /Which one(?!s)/);
  await one.getByText("Known well").waitFor();
  await one.getByRole("button", { name: /^Submit/ }).click();
  await one.getByText("Choose an option first.").waitFor();
  assert.equal(hub.answers.length, 0);
  await one.getByRole("radio", { name: "PostgreSQL", exact: true }).check();
  await one.getByRole("button", { name: /^Submit/ }).click();
  await gone(page, /Which one(?!s)/);
  const several = card(page, "Which ones");
  await several.getByRole("checkbox", { name: "Neither" }).check();
  await several.getByRole("checkbox", { name: "PostgreSQL" }).check();
  await several.getByRole("button", { name: /^Submit/ }).click();
  await gone(page, "Which ones");
  assert.deepEqual(hub.answers.map((answer) => answer.data), [{ choice: "pg" }, { choice: ["pg", "no"] }]);
});

test("a question is answered in words, a notification acknowledged", async (stage, hub) => {
  hub.add({ summary: "What tone", intent: "CLARIFICATION", response_schema: { type: "text" } });
  hub.add({ summary: "Look at it", intent: "REVIEW" });
  hub.add({ summary: "Backup done", intent: "NOTIFICATION" });
  const page = await stage.signedIn("dora");
  await card(page, "What tone").getByRole("textbox", { name: /answer/i }).fill("Friendly");
  await card(page, "What tone").getByRole("button", { name: /^Send/ }).click();
  await gone(page, "What tone");
  await card(page, "Look at it").getByRole("textbox", { name: /answer/i }).fill("Fine");
  await page.keyboard.press("Control+Enter");
  await gone(page, "Look at it");
  await card(page, "Backup done").getByRole("button", { name: /^Send/ }).click();
  await gone(page, "Backup done");
  assert.deepEqual(hub.answers.map((answer) => answer.data), [{ text: "Friendly" }, { text: "Fine" }, { acknowledged: true }]);
});

test("a form is made of a JSON Schema and sends the right types", async (stage, hub) => {
  hub.add({ summary: "Refund", intent: "INPUT", response_schema: { type: "structured", json_schema: REFUND } });
  const page = await stage.signedIn("dora");
  const form = card(page, "Refund");
  await form.getByRole("spinbutton", { name: "amount" }).fill("900");
  await form.getByRole("button", { name: /^Submit/ }).click();
  await until("the fields are marked", async () => (await form.locator("[aria-invalid=true]").count()) === 3);
  assert.ok(await form.getByRole("textbox", { name: "Reason" }).evaluate((field) => field === document.activeElement));
  assert.equal(hub.answers.length, 0);
  await stage.accessible(page, "a form with faults");
  await form.getByRole("textbox", { name: "Reason" }).fill("broken");
  await form.getByRole("spinbutton", { name: "amount" }).fill("12.5");
  await form.getByRole("spinbutton", { name: "count" }).fill("2");
  await form.getByRole("combobox", { name: "Currency" }).selectOption({ label: "USD" });
  await form.getByRole("checkbox", { name: "Notify" }).check();
  await form.getByRole("button", { name: /^Submit/ }).click();
  await gone(page, "Refund");
  assert.deepEqual(hub.answers[0].data, { reason: "broken", amount: 12.5, count: 2, currency: "USD", notify: true });
});

test("faults that the hub finds are said at their fields", async (stage, hub) => {
  hub.add({ summary: "Refund", intent: "INPUT", response_schema: { type: "structured", json_schema: REFUND } });
  hub.failures.push({ status: 400, body: { error: "Validation error", code: "VALIDATION_ERROR", faults: [{ path: "response_data.reason", message: "Not a good reason" }] } });
  const page = await stage.signedIn("dora");
  const form = card(page, "Refund");
  await form.getByRole("textbox", { name: "Reason" }).fill("because");
  await form.getByRole("spinbutton", { name: "amount" }).fill("1");
  await form.getByRole("spinbutton", { name: "count" }).fill("1");
  await form.getByRole("button", { name: /^Submit/ }).click();
  await form.getByText("Not a good reason").waitFor();
  assert.equal(await form.getByRole("textbox", { name: "Reason" }).getAttribute("aria-invalid"), "true");
  assert.equal(await form.getByRole("textbox", { name: "Reason" }).inputValue(), "because");
});

test("a coordinator sees all, hands over, lends and cancels", async (stage, hub) => {
  const [first, second, third] = ["First", "Second", "Third"].map((summary) => hub.add({ summary }));
  const page = await stage.signedIn("emil");
  for (const summary of ["First", "Second"]) await card(page, summary).getByRole("button", { name: "Reassign, delegate or cancel" }).click();
  await card(page, "First").getByLabel("Handle of another person").fill("cleo-at-work");
  await card(page, "First").getByRole("button", { name: "Reassign", exact: true }).click();
  await card(page, "First").getByText("cleo-at-work").waitFor();
  assert.equal(hub.requests.get(first.request_id).responder_id, "cleo-at-work");
  await card(page, "Second").getByLabel("Handle of another person").fill("emil");
  await card(page, "Second").getByRole("button", { name: "Delegate", exact: true }).click();
  await card(page, "Second").getByText("emil may answer too").waitFor();
  assert.equal(hub.requests.get(second.request_id).delegated_to, "emil");
  await card(page, "Third").getByRole("button", { name: "Reassign, delegate or cancel" }).click();
  await card(page, "Third").getByRole("button", { name: "Cancel the request" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /Yes/ }).click();
  await gone(page, "Third");
  assert.equal(hub.requests.get(third.request_id).state, "CANCELLED");
  await page.getByLabel("Addressed to").selectOption("dora");
  await until("only dora's are left", async () => (await page.getByRole("article").count()) === 1);
});
