/** Getting in, and out again. */

import assert from "node:assert/strict";

import { card, gone, said, until } from "./steps.mjs";

export const tests = [];

function test(name, body, setup = {}) {
  tests.push([name, body, setup]);
}

test("a link lets in once and leaves no trace", async (stage, hub) => {
  const page = await stage.open();
  const link = hub.link("dora");
  hub.add({ summary: "Deploy v2" });
  await page.goto(link);
  await card(page, "Deploy v2").waitFor();
  assert.equal(new URL(page.url()).search, "");
  assert.equal(new URL(page.url()).pathname, "/portal/");
  const other = await stage.open();
  await other.goto(link);
  await other.getByText(/no longer valid/).waitFor();
  assert.equal(await other.getByRole("article").count(), 0);
  assert.equal(new URL(other.url()).search, "");
  await stage.accessible(other, "a used link");
  // Whoever is logged in all the same may go on.
  await page.goto(link);
  await page.getByText(/no longer valid/).waitFor();
  assert.equal(await page.getByRole("article").count(), 0);
  await page.getByRole("main").getByRole("button", { name: "Continue as dora" }).click();
  await card(page, "Deploy v2").waitFor();
});

test("a password lets in", async (stage, hub) => {
  hub.person("dora", "responder", "a long password");
  hub.add({ summary: "Deploy v2" });
  const page = await stage.open();
  await page.goto(`${hub.url}/portal/?responder_id=dora`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.getByRole("article").count(), 0);
  await stage.accessible(page, "login");
  await page.getByLabel("Organisation ID").fill("org-1");
  assert.equal(await page.getByLabel("Handle").inputValue(), "dora");
  await page.getByLabel("Password").fill("a wrong password");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText(/wrong/).waitFor();
  await page.getByLabel("Password").fill("a long password");
  await page.keyboard.press("Enter");
  await card(page, "Deploy v2").waitFor();
});

test("after a link a password can be set", async (stage, hub) => {
  const page = await stage.signedIn("dora");
  await page.getByRole("button", { name: "Set a password" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("New password").fill("short");
  await dialog.getByRole("button", { name: "Save" }).click();
  assert.equal(await dialog.getByLabel("New password").getAttribute("aria-invalid"), "true");
  await stage.accessible(page, "a dialog");
  await dialog.getByLabel("New password").fill("a sentence of some length");
  await dialog.getByRole("button", { name: "Save" }).click();
  await said(page, /password is set/);
  assert.equal(hub.people.get("dora").password, "a sentence of some length");
  assert.equal(await page.getByRole("button", { name: "Set a password" }).count(), 0);
  // The old session and its stream have ended; the page goes on in the new one.
  hub.add({ summary: "Deploy v2" });
  await page.getByRole("article").filter({ hasText: "Deploy v2" }).waitFor();
});

test("every page says what it is", async (stage, hub) => {
  const page = await stage.open();
  await page.goto(`${hub.url}/portal/?responder_id=dora`);
  const whole = async (title) => {
    await page.getByRole("heading", { level: 1 }).waitFor();
    assert.match(await page.title(), title);
    assert.equal(await page.locator("main").count(), 1);
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    const viewport = await page.locator("meta[name=viewport]").getAttribute("content");
    assert.match(viewport, /width=device-width/);
    assert.doesNotMatch(viewport, /user-scalable|maximum-scale/);
  };
  await whole(/^Sign in/);
  await page.goto(hub.link("dora"));
  await page.getByText("No pending requests").waitFor();
  await whole(/^Queue/);
  assert.ok(await page.getByText("dora", { exact: true }).first().isVisible());
  await page.getByRole("link", { name: "History" }).click();
  await whole(/^History/);
});

test("logging out leaves nothing", async (stage, hub) => {
  hub.add({ summary: "Secret plan" });
  const page = await stage.signedIn("dora");
  await card(page, "Secret plan").waitFor();
  await page.getByRole("button", { name: /account/i }).click();
  await stage.accessible(page, "the menu");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.getByText("Secret plan").count(), 0);
  await page.goto(`${hub.url}/portal/`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.getByText("Secret plan").count(), 0);
});

test("a session that ended keeps what was typed until its person is back", async (stage, hub) => {
  hub.person("dora", "responder", "a long password");
  hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).fill("keep me");
  hub.sessions.clear();
  for (const stream of hub.streams) stream.response.destroy();
  await page.getByText(/session has ended/).waitFor();
  await page.getByLabel("Password").fill("a long password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await card(page, "Deploy v2").waitFor();
  assert.equal(await card(page, "Deploy v2").getByRole("textbox", { name: "Comment" }).inputValue(), "keep me");
});

test("an open portal asks for no login", async (stage, hub) => {
  hub.isOpen = true;
  hub.add({ summary: "Deploy v2" });
  const page = await stage.open();
  await page.goto(`${hub.url}/portal/?responder_id=dora`);
  await card(page, "Deploy v2").getByRole("button", { name: /^Approve/ }).click();
  await gone(page, "Deploy v2");
  assert.equal(hub.answers.length, 1);
});

test("under a base path everything is found", async (stage, hub) => {
  hub.add({ summary: "Deploy v2" });
  const page = await stage.signedIn("dora");
  await card(page, "Deploy v2").waitFor();
  await page.getByRole("link", { name: "History" }).click();
  await page.getByText("Nothing has been decided yet.").waitFor();
  assert.equal(new URL(page.url()).pathname, "/hub/portal/history");
  await page.reload();
  await page.getByText("Nothing has been decided yet.").waitFor();
}, { base: "/hub" });
