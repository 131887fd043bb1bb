/** Getting in, and every way of answering, up to what the agent gets. */

import assert from "node:assert/strict";

import { card, gone, REFUND, said, until } from "../portal/steps.mjs";

export const tests = [];

function test(name, body) {
  tests.push([name, body, undefined]);
}

test("a link lets in once, a password afterwards", async (stage, hub) => {
  await hub.add({ summary: "Deploy v2" });
  const link = await hub.link("dora");
  const page = await stage.open();
  await page.goto(link);
  await card(page, "Deploy v2").waitFor();
  assert.equal(new URL(page.url()).search, "");
  const other = await stage.open();
  await other.goto(link);
  await other.getByText(/no longer valid/).waitFor();
  assert.equal(await other.getByRole("article").count(), 0);
  await stage.accessible(other, "a used link");
  await stage.picture(other, "link-used");

  await page.getByRole("button", { name: "Set a password" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("New password").fill("short");
  await dialog.getByRole("button", { name: "Save" }).click();
  assert.equal(await dialog.getByLabel("New password").getAttribute("aria-invalid"), "true");
  await stage.picture(page, "password-dialog", false);
  await dialog.getByLabel("New password").fill("a sentence of some length");
  await dialog.getByRole("button", { name: "Save" }).click();
  await said(page, /password is set/);
  await hub.add({ summary: "After the password" });
  await card(page, "After the password").waitFor();

  await other.goto(`${hub.url}/portal/?responder_id=dora`);
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  await stage.accessible(other, "login");
  await stage.picture(other, "login");
  await other.getByLabel("Organisation ID").fill(hub.id);
  assert.equal(await other.getByLabel("Handle").inputValue(), "dora");
  await other.getByLabel("Password").fill("a wrong password");
  await other.keyboard.press("Enter");
  await other.getByRole("alert").getByText(/wrong/).waitFor();
  await other.getByLabel("Password").fill("a sentence of some length");
  await other.keyboard.press("Enter");
  await card(other, "Deploy v2").waitFor();

  await other.getByRole("button", { name: /account/i }).click();
  await stage.picture(other, "menu", false);
  await other.getByRole("button", { name: "Log out" }).click();
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  await other.reload();
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await other.getByText("Deploy v2").count(), 0);
});

test("who is disabled is out at once", async (stage, hub) => {
  await hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).fill("half a sentence");
  await hub.admin.good("PATCH", `/api/org/people/${hub.people.get("dora").id}`, { is_disabled: true });
  await page.getByText(/session has ended/).waitFor();
  await stage.picture(page, "session-ended");
});

test("an approval is given by keyboard alone, with a comment", async (stage, hub) => {
  const id = await hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Looks fine");
  await page.keyboard.press("Tab");
  await stage.picture(page, "focus");
  await page.keyboard.press("Enter");
  await said(page, /recorded: approved/i);
  await gone(page, "Deploy v2");
  await page.getByText("No pending requests").waitFor();
  await stage.picture(page, "answered");
  assert.deepEqual(await hub.answer(id), { data: { decision: "approved", comment: "Looks fine" }, by: "dora" });
});

test("a rejection comes with a comment or without", async (stage, hub) => {
  const [one, two] = [await hub.add({ summary: "Delete accounts" }), await hub.add({ summary: "Delete backups" })];
  const page = await stage.signedIn("dora");
  await card(page, "Delete accounts").getByRole("textbox", { name: "Comment" }).fill("Ask first");
  await card(page, "Delete accounts").getByRole("button", { name: /^Reject/ }).dblclick();
  await gone(page, "Delete accounts");
  await card(page, "Delete backups").getByRole("button", { name: /^Reject/ }).click();
  await gone(page, "Delete backups");
  assert.deepEqual(await hub.answer(one), { data: { decision: "rejected", comment: "Ask first" }, by: "dora" });
  assert.deepEqual((await hub.answer(two)).data, { decision: "rejected" });
});

test("a proposal is edited, as text or in its fields", async (stage, hub) => {
  const text = await hub.add({ summary: "Reply to Ann", detail: "Dear customer", allow_edit: true });
  const response_schema = { type: "structured", json_schema: REFUND };
  const fields = await hub.add({ summary: "Refund", allow_edit: true, response_schema, metadata: { reason: "late", amount: 20, count: 1 } });
  const page = await stage.signedIn("dora");
  await card(page, "Reply to Ann").getByRole("button", { name: "Edit the proposal" }).click();
  await card(page, "Reply to Ann").getByRole("textbox", { name: "Proposal" }).fill("Dear Ann");
  await card(page, "Refund").getByRole("button", { name: "Edit the proposal" }).click();
  await card(page, "Refund").getByRole("spinbutton", { name: "amount" }).fill("10");
  await stage.picture(page, "edit");
  await card(page, "Reply to Ann").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Reply to Ann");
  await card(page, "Refund").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Refund");
  assert.deepEqual((await hub.answer(text)).data, { decision: "approved", edited: "Dear Ann" });
  assert.deepEqual((await hub.answer(fields)).data, { decision: "approved", edited: { reason: "late", amount: 10, count: 1, notify: false } });
});

test("one of several options is chosen, or several", async (stage, hub) => {
  const options = [{ key: "pg", label: "PostgreSQL", description: "Known well" }, { key: "my", label: "MySQL" }, { key: "no", label: "Neither" }];
  const one = await hub.add({ summary: "Which one", intent: "DECISION", response_schema: { type: "choice", options } });
  const some = await hub.add({ summary: "Which several", intent: "DECISION", response_schema: { type: "choice", options, multiple: true } });
  const page = await stage.signedIn("dora");
  await card(page, "Which one").getByRole("radio", { name: "PostgreSQL", exact: true }).check();
  for (const name of ["Neither", "PostgreSQL"]) await card(page, "Which several").getByRole("checkbox", { name }).check();
  await stage.picture(page, "choice");
  for (const summary of ["Which one", "Which several"]) {
    await card(page, summary).getByRole("button", { name: /^Submit/ }).click();
    await gone(page, summary);
  }
  assert.deepEqual((await hub.answer(one)).data, { choice: "pg" });
  assert.deepEqual((await hub.answer(some)).data, { choice: ["pg", "no"] });
});

test("questions are answered in words, notifications acknowledged", async (stage, hub) => {
  const words = await hub.add({ summary: "What tone", intent: "CLARIFICATION", response_schema: { type: "text" } });
  const free = await hub.add({ summary: "Look at it", intent: "REVIEW" });
  const told = await hub.add({ summary: "Backup done", intent: "NOTIFICATION" });
  const page = await stage.signedIn("dora");
  await card(page, "What tone").getByRole("textbox", { name: /answer/i }).fill("Friendly");
  await stage.picture(page, "text-and-notification");
  await card(page, "What tone").getByRole("button", { name: /^Send/ }).click();
  await gone(page, "What tone");
  await card(page, "Look at it").getByRole("textbox", { name: /answer/i }).fill("Fine");
  await page.keyboard.press("Control+Enter");
  await gone(page, "Look at it");
  await card(page, "Backup done").getByRole("button", { name: /^Send/ }).click();
  await gone(page, "Backup done");
  assert.deepEqual((await hub.answer(words)).data, { text: "Friendly" });
  assert.deepEqual((await hub.answer(free)).data, { text: "Fine" });
  assert.deepEqual((await hub.answer(told)).data, { acknowledged: true });
});

test("a form is made of a JSON Schema, and faults are said at their fields", async (stage, hub) => {
  // `not` is the hub's to check: the page does not know all of JSON Schema.
  const json_schema = { ...REFUND, properties: { ...REFUND.properties, reason: { type: "string", title: "Reason", not: { const: "because" } } } };
  const id = await hub.add({ summary: "Refund", intent: "INPUT", response_schema: { type: "structured", json_schema } });
  const page = await stage.signedIn("dora");
  const form = card(page, "Refund");
  await form.getByRole("spinbutton", { name: "amount" }).fill("900");
  await form.getByRole("button", { name: /^Submit/ }).click();
  await until("the fields are marked", async () => (await form.locator("[aria-invalid=true]").count()) === 3);
  await stage.accessible(page, "a form with faults");
  await stage.picture(page, "form-faults");
  await form.getByRole("textbox", { name: "Reason" }).fill("because");
  await form.getByRole("spinbutton", { name: "amount" }).fill("12.5");
  await form.getByRole("spinbutton", { name: "count" }).fill("2");
  await form.getByRole("combobox", { name: "Currency" }).selectOption({ label: "USD" });
  await form.getByRole("checkbox", { name: "Notify" }).check();
  await form.getByRole("button", { name: /^Submit/ }).click();
  const reason = form.getByRole("textbox", { name: "Reason" });
  await until("the hub's fault is at its field", async () => (await reason.getAttribute("aria-invalid")) === "true");
  assert.equal(await reason.inputValue(), "because");
  await stage.picture(page, "form-hub-fault");
  await reason.fill("broken");
  await form.getByRole("button", { name: /^Submit/ }).click();
  await gone(page, "Refund");
  assert.deepEqual((await hub.answer(id)).data, { reason: "broken", amount: 12.5, count: 2, currency: "USD", notify: true });
});
