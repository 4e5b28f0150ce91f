/** Constructors of `Intl` (ECMA-402): settings per object, `supportedLocalesOf`, names and tags. */
import { intl } from "./intl.ts";
import { canonicalLocales, isSupported } from "./locales.ts";

/** Defines a property as built-ins are: writable, configurable, not enumerable. */
export function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

interface Service<Settings> {
  /** As `Intl` has it. */
  readonly name: string;
  /** The prototype with the methods. */
  readonly prototype: object;
  /** True for the older constructors, which are also called without `new`. */
  readonly isFunction?: boolean;
  /** True for tags that the service has. By default those of en. */
  readonly isSupported?: (tag: string) => boolean;
  /** Reads locales and options. Throws RangeError, TypeError and MF_NO_INTL. */
  readonly read: (locales: unknown, options: unknown) => Settings;
}

/** Adds a constructor to `Intl`. Returns the settings of an object it made; throws TypeError for any other. */
export function addService<Settings>({
  name,
  prototype,
  isFunction = false,
  isSupported: has = isSupported,
  read,
}: Service<Settings>): (format: object) => Settings {
  const settingsOf = new WeakMap<object, Settings>();
  // A function and no class: some are called with and without `new`.
  const make = function (this: unknown, locales?: unknown, options?: unknown): object {
    if (new.target === undefined && !isFunction) throw new TypeError(`Constructor Intl.${name} requires 'new'`);
    const made = Object.create((new.target?.prototype as object | undefined) ?? prototype) as object;
    settingsOf.set(made, read(locales, options));
    return made;
  };
  Object.defineProperty(make, "name", { value: name, configurable: true });
  Object.defineProperty(make, "length", { value: 0, configurable: true });
  Object.defineProperty(make, "prototype", { value: prototype, writable: false });
  define(make, "supportedLocalesOf", (locales?: unknown) => canonicalLocales(locales).filter(has));
  define(prototype, "constructor", make);
  Object.defineProperty(prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  define(intl, name, make);
  return (format) => {
    const settings = settingsOf.get(format);
    if (settings === undefined) throw new TypeError(`Method Intl.${name} called on incompatible receiver`);
    return settings;
  };
}
