/** Starts the portal. */

import { render } from "preact";

import { startTexts } from "../i18n/texts.ts";
import { startClock } from "../lib/clock.ts";
import { applyTheme } from "../lib/theme.ts";
import { App } from "./app.tsx";
import { listenToKeys } from "./keys.tsx";
import { countInTitle } from "./notify.ts";
import { followHistory } from "./route.ts";

applyTheme();
followHistory();
listenToKeys();
startClock();

const place = document.getElementById("app");
try {
  await startTexts();
  countInTitle();
  if (place !== null) render(<App />, place);
} catch {
  // Without its texts the page has no words of its own.
  if (place !== null) place.textContent = "This page could not be loaded. Please reload it. · 页面加载失败，请刷新。";
}
