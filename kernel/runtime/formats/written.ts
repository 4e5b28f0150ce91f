/** Values as XML and CSV write them: what has no text there is an error, so that nothing is written that reads back as something else. */

const { getPrototypeOf, keys } = Object;

function nameOfClass(value: object): string {
  const name: unknown = (value as { readonly constructor?: { readonly name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? `a ${name}` : "an object";
}

/** True if an object consists of its members: a Map, a RegExp or bytes hold something that no member shows. */
function hasOnlyMembers(value: object): boolean {
  const prototype: unknown = getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) return true;
  return !(Symbol.iterator in value) && !(value instanceof ArrayBuffer) && keys(value).length > 0;
}

/** The text of a value, or an object or a list, as JSON would take it (`toJSON`). Refuses a value that has neither. */
export function written(value: unknown, refuse: (why: string) => never): string | object {
  if (typeof value === "string") return value;
  if (typeof value === "function" || typeof value === "symbol") return refuse(`a ${typeof value} can't be written`);
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? refuse("an invalid date can't be written") : value.toISOString();
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === "function") {
    const json: unknown = toJSON.call(value, "");
    return typeof json === "object" && json !== null ? json : written(json, refuse);
  }
  return hasOnlyMembers(value) ? value : refuse(`${nameOfClass(value)} can't be written: pass its contents`);
}
