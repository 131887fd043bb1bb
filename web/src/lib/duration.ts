/** Spans of time as people read them: the two largest units, the smaller one in full. */

/** A unit and how many of it. */
export type Part = readonly ["day" | "hour" | "minute" | "second", number];

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** The parts of a span in seconds, one or two of them. */
export function parts(seconds: number): Part[] {
  let rest = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([, size]) => rest >= size);
  if (first < 0) return [["second", 0]];
  const shown: Part[] = [];
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || shown.length === 0) shown.push([unit, count]);
  }
  return shown;
}
