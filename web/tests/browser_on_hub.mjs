/**
 * The portal in a real browser against a hub that runs: HXA_URL is its address, HXA_ADMIN_SECRET the secret of its operator.
 * Each test makes an organisation of its own, so nothing that is there is touched.
 *
 *   HXA_URL=http://127.0.0.1:4800 HXA_ADMIN_SECRET=… node tests/browser_on_hub.mjs [WORDS OF A TEST'S NAME]
 *
 * HXA_PICTURES may name a folder for screenshots.
 */

import { tests as deciding } from "./on_hub/deciding.mjs";
import { tests as looking } from "./on_hub/looking.mjs";
import { tests as sharing } from "./on_hub/sharing.mjs";
import { startOrg } from "./real_hub.mjs";
import { runAll } from "./stage.mjs";

const { HXA_URL: url, HXA_ADMIN_SECRET: secret } = process.env;
if (url === undefined || secret === undefined) throw new Error("HXA_URL and HXA_ADMIN_SECRET must be set");

await runAll([...deciding, ...sharing, ...looking], process.argv.slice(2).join(" "), async () => {
  const org = await startOrg(new URL(url), secret);
  await org.person("dora");
  await org.person("emil", "coordinator");
  return org;
});
