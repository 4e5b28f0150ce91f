/**
 * Members of a request that mean something in a page only (Fetch Standard, §5.4): checked and kept as the standard says, so that code
 * written for a browser finds them; the gateway does not look at them.
 */
import { URL } from "./url.ts";

/** A member that is one of a few words. */
export function word<T extends string>(value: unknown, words: readonly string[], what: string): T {
  const text = `${value as string}`;
  if (!words.includes(text)) throw new TypeError(`${what}: ${JSON.stringify(text)} must be one of ${words.join(", ")}`);
  return text as T;
}

export interface RequestSettings {
  readonly mode: string;
  readonly credentials: string;
  readonly cache: string;
  readonly referrer: string;
  readonly referrerPolicy: string;
  readonly integrity: string;
  readonly keepalive: boolean;
}

export type SettingsInit = { readonly [Name in keyof RequestSettings]?: unknown } & {
  readonly window?: unknown;
  readonly priority?: unknown;
  readonly duplex?: unknown;
};

export const defaultSettings: RequestSettings = Object.freeze({
  mode: "cors",
  credentials: "same-origin",
  cache: "default",
  referrer: "about:client",
  referrerPolicy: "",
  integrity: "",
  keepalive: false,
});

const modes = ["same-origin", "no-cors", "cors", "navigate"];
const credentials = ["omit", "same-origin", "include"];
const caches = ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"];
const policies = [
  "",
  "no-referrer",
  "no-referrer-when-downgrade",
  "same-origin",
  "origin",
  "strict-origin",
  "origin-when-cross-origin",
  "strict-origin-when-cross-origin",
  "unsafe-url",
];

function referrerOf(value: unknown): string {
  const text = `${value as string}`;
  return text === "" ? "" : new URL(text).href;
}

/** The settings of a request made with `init` from one that has `from`; throws a TypeError for a member that is not allowed. */
export function settingsOf(init: SettingsInit, from: RequestSettings): RequestSettings {
  const given = <T>(value: unknown, read: (value: unknown) => T, otherwise: T): T => (value === undefined ? otherwise : read(value));
  if (init.window !== undefined && init.window !== null) throw new TypeError("window must be null");
  given(init.priority, (value) => word(value, ["high", "low", "auto"], "priority"), "auto");
  given(init.duplex, (value) => word(value, ["half"], "duplex"), "half");
  const settings: RequestSettings = {
    mode: given(init.mode, (value) => word(value, modes, "mode"), from.mode),
    credentials: given(init.credentials, (value) => word(value, credentials, "credentials"), from.credentials),
    cache: given(init.cache, (value) => word(value, caches, "cache"), from.cache),
    referrer: given(init.referrer, referrerOf, from.referrer),
    referrerPolicy: given(init.referrerPolicy, (value) => word(value, policies, "referrerPolicy"), from.referrerPolicy),
    integrity: given(init.integrity, (value) => `${value as string}`, from.integrity),
    keepalive: given(init.keepalive, Boolean, from.keepalive),
  };
  if (init.mode !== undefined && settings.mode === "navigate") throw new TypeError("mode: no request can be a navigation");
  if (settings.cache === "only-if-cached" && settings.mode !== "same-origin")
    throw new TypeError('cache: "only-if-cached" needs the mode "same-origin"');
  return settings;
}
