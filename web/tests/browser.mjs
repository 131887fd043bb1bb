/**
 * The portal in a real browser against a fake hub: what people and their tools rely on, by roles and visible words.
 *
 *   node tests/browser.mjs [WORDS OF A TEST'S NAME]
 *
 * A script error, a refusal of the content security policy, or a request to another place fails the test it happens in.
 */

import { startFakeHub } from "./fake_hub.mjs";
import { tests } from "./portal.mjs";
import { runAll } from "./stage.mjs";

await runAll(tests, process.argv.slice(2).join(" "), async (setup) => {
  const hub = await startFakeHub(setup);
  hub.person("dora");
  hub.person("emil", "coordinator");
  return hub;
});
