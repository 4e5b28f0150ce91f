/** Options as they are given, read and checked. */

/** Options as an object. Throws TypeError for null. */
export function optionsOf(given: unknown): Readonly<Record<string, unknown>> {
  if (given === null) throw new TypeError("Cannot convert undefined or null to object");
  return Object(given ?? {}) as Readonly<Record<string, unknown>>;
}

/** One option as text; undefined if it is not given. Throws RangeError for a value it can't have. */
export function textOption(
  service: string,
  options: Readonly<Record<string, unknown>>,
  name: string,
  allowed?: readonly string[],
): string | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const text = String(value);
  if (allowed !== undefined && !allowed.includes(text))
    throw new RangeError(`Value ${text.slice(0, 60)} out of range for Intl.${service} options property ${name}`);
  return text;
}
