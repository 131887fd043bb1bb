/**
 * What the hub wrote into the page that loaded this script: the path that the hub is served under, and where the files are
 * that are loaded later.
 */

const root = document.documentElement;

/** The base path: empty, or such as `/hub`. */
export const base = root.dataset["base"] ?? "";

/** Where a file of the build is, by the name that the page gives it. */
export function asset(name: "en" | "zh"): string {
  return root.dataset[name] ?? "";
}
