/** What the portal must do. Each test gets a stage and a fresh hub with dora, who responds, and emil, who coordinates. */

import { tests as answering } from "./portal/answering.mjs";
import { tests as entering } from "./portal/entering.mjs";
import { tests as everybody } from "./portal/everybody.mjs";
import { tests as following } from "./portal/following.mjs";

export const tests = [...entering, ...answering, ...following, ...everybody];
