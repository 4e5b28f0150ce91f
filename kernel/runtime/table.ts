/** A table that is asked for names from outside (base/table.ts, for parts, which may import nothing else). */
export function table<T>(entries: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null) as Record<string, T>, entries);
}
