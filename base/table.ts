/**
 * A table that is asked for names from outside: it has no prototype, so "constructor" or "__proto__" finds what was put there, or nothing.
 * test/tidy.test.ts wants it for every constant of this kind.
 */
export function table<T>(entries: Readonly<Record<string, T>> = {}): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, entries);
}
