/** Deployed functions as the gateway tells them. Pure. */
export interface FunctionVersion {
  readonly version: number;
  /** `sha256:…` */
  readonly image: string;
  readonly fragment: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Name of the key. */
  readonly by: string;
}

export interface DeployedFunction {
  readonly name: string;
  readonly tenant: string | null;
  readonly urls: readonly string[];
  readonly revision: number;
  readonly live: number;
  readonly canary: { readonly version: number; readonly share: number } | null;
  readonly aliases: Readonly<Record<string, number>>;
  readonly versions: readonly FunctionVersion[];
  /** True while it is in memory. */
  readonly served: boolean;
}

type Kept = Readonly<Record<"state" | "messages" | "deadLetters" | "history" | "images", number>>;

export interface TenantUsage {
  readonly tenant: string | null;
  readonly day: string;
  readonly received: number;
  readonly done: number;
  readonly dead: number;
  readonly cpuMs: number;
  readonly functions: number;
  readonly quotas: { readonly functions: number; readonly cpuMs: number | null; readonly kept: Kept | null };
  readonly kept: Kept | null;
  /** Why no message is taken. */
  readonly full: string | null;
}

export interface LogLine {
  readonly line: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The result of a trial. */
export interface Trial {
  readonly status: string;
  readonly error: { readonly code: string; readonly message: string; readonly stack?: string } | null;
  readonly reply: { readonly status: number; readonly contentType: string; readonly text: string } | null;
  readonly sends: readonly { readonly outlet: string; readonly contentType: string; readonly text: string }[];
  readonly logs: readonly { readonly level: string; readonly text: string }[];
  readonly state: Readonly<Record<string, unknown>>;
  readonly cpuMs: number;
  /** The recording: events and effects, in order. */
  readonly events: readonly string[];
}

export interface Share {
  readonly name: string;
  readonly used: number;
  readonly bound: number;
}

const names: Readonly<Record<keyof Kept, string>> = {
  state: "State",
  messages: "Waiting messages",
  deadLetters: "Dead letters",
  history: "History today",
  images: "Images",
};

/** Bytes of what a tenant keeps beside their bounds; none without bounds. */
export function sharesOf({ kept, quotas }: TenantUsage): readonly Share[] {
  const bounds = quotas.kept;
  if (kept === null || bounds === null) return [];
  return (Object.keys(names) as (keyof Kept)[]).map((name) => ({ name: names[name], used: kept[name], bound: bounds[name] }));
}

/** Names of a version, besides its number. */
export function aliasesOf({ aliases }: DeployedFunction, version: number): readonly string[] {
  return Object.entries(aliases).flatMap(([alias, named]) => (named === version ? [alias] : []));
}

/** Lines that were there and those that came, at most so many, each once. */
export function joinedLines(before: readonly LogLine[], more: readonly LogLine[], most: number): readonly LogLine[] {
  const last = before.at(-1)?.line ?? 0;
  return [...before, ...more.filter(({ line }) => line > last)].slice(-most);
}
