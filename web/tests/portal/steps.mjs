/** What the portal's tests do again and again. */

/** How much longer everything may take: on a machine that has much else to do, people wait longer too. */
export const PATIENCE = Number(process.env.HXA_PATIENCE ?? 1);

/** Waits until something holds. */
export async function until(what, check, within = 4_000) {
  const end = Date.now() + within * PATIENCE;
  let last;
  while (Date.now() < end) {
    last = await check();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${within * PATIENCE} ms (${JSON.stringify(last)})`);
}

/** The card of a request. */
export const card = (page, summary) => page.getByRole("article").filter({ hasText: summary });

/** All summaries in their order. */
export const summaries = (page) => page.getByRole("article").locator("h2").allTextContents();

/** Waits until the page says something to everybody. */
export const said = (page, pattern) =>
  until(`a status says ${pattern}`, async () => pattern.test((await page.locator("[role=status], [role=alert]").allTextContents()).join("\n")));

/** Waits until a request has left the queue. */
export const gone = (page, summary, within = 4_000) => until(`${summary} leaves`, async () => (await card(page, summary).count()) === 0, within);

/** A form with a field of each kind. */
export const REFUND = {
  type: "object",
  required: ["reason", "amount", "count"],
  properties: {
    reason: { type: "string", title: "Reason" },
    amount: { type: "number", minimum: 0, maximum: 500 },
    count: { type: "integer", minimum: 1 },
    currency: { enum: ["EUR", "USD"], title: "Currency" },
    notify: { type: "boolean", title: "Notify" },
  },
};
