/** The lists of Intl.supportedValuesOf: each part adds what it has. */
const lists = new Map<string, () => readonly string[]>([
  ["calendar", () => ["gregory"]],
  ["collation", () => []],
  ["currency", () => []],
  ["numberingSystem", () => ["latn"]],
  ["timeZone", () => []],
  ["unit", () => []],
]);

export function addValues(key: string, list: () => readonly string[]): void {
  lists.set(key, list);
}

/** Throws RangeError for an unknown key. */
export function supportedValuesOf(key: unknown): string[] {
  const name = String(key);
  const list = lists.get(name);
  if (list === undefined) throw new RangeError(`Invalid key : ${name.slice(0, 60)}`);
  return [...list()];
}
