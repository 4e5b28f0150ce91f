/** A world as the author's rules see it. */
import { fromUtf8 } from "#base";
import type { Deed } from "./matter.ts";
import { type DeedLog, type Job, noState, stateJson, stateKey, type World } from "./world.ts";

export interface ViewContent {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly bytes: Uint8Array;
  text(): string;
  json(): any;
}

export interface ViewDeed extends ViewContent {
  readonly kind: "send" | "request";
  readonly flow: string;
  readonly messageId: string;
  readonly outlet: string;
  readonly key: string | undefined;
  readonly method: string;
  readonly idempotencyKey: string;
  readonly transaction: number;
  /** Milliseconds since the beginning. */
  readonly atMs: number;
}

export interface ViewMessage extends ViewContent {
  readonly flow: string;
  readonly id: string;
  readonly key: string | undefined;
  readonly status: Job["status"];
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly waits: readonly { readonly name: string; readonly key: string }[];
}

export interface Deeds extends ReadonlyArray<ViewDeed> {
  /** Those to one outlet, or, for a fetch, to URLs that begin so. */
  to(outlet: string): readonly ViewDeed[];
}

export interface WorldView {
  /** Committed sends, as a peer takes them that honours idempotency keys: each key once. */
  readonly sends: Deeds;
  /** Requests and fetches, in the same way. */
  readonly requests: Deeds;
  /** Requests as they were made, repeated ones as well. */
  readonly attempts: Deeds;
  readonly messages: readonly ViewMessage[];
  /** Signals that are kept and have ended no wait yet. */
  readonly signals: readonly { readonly flow: string; readonly name: string; readonly key: string | undefined }[];
  /** State under a key. */
  state(flow: string, key: string): Readonly<Record<string, unknown>>;
  /** Nothing can come any more. */
  readonly ended: boolean;
  /** Milliseconds since the beginning. */
  readonly nowMs: number;
}

function content(bytes: Uint8Array, headers: ViewContent["headers"], contentType: string): ViewContent {
  let parsed: unknown;
  return {
    bytes,
    headers,
    contentType,
    text: () => fromUtf8(bytes),
    json: () => (parsed ??= JSON.parse(fromUtf8(bytes))),
  };
}

const views = new WeakMap<Deed, ViewDeed>();

function viewOf(deed: Deed, startMs: number): ViewDeed {
  let view = views.get(deed);
  if (view === undefined) {
    const { kind, flow, messageId, target: outlet, key, method, idempotencyKey, transaction, atMs } = deed;
    const own = { kind, flow, messageId, outlet, key, method, idempotencyKey, transaction, atMs: atMs - startMs };
    view = { ...content(deed.body, deed.headers, deed.contentType), ...own };
    views.set(deed, view);
  }
  return view;
}

function deeds(list: ViewDeed[]): Deeds {
  return Object.assign(list, { to });
}

function to(this: readonly ViewDeed[], outlet: string): readonly ViewDeed[] {
  return this.filter((each) => each.outlet === outlet || isBelow(each.outlet, outlet));
}

function isBelow(url: string, prefix: string): boolean {
  return prefix.includes("://") && url.startsWith(prefix);
}

export function deedsOf(log: DeedLog): Deed[] {
  const all: Deed[] = [];
  for (let at: DeedLog | undefined = log; at?.deed !== undefined; at = at.before) all.push(at.deed);
  return all.reverse();
}

function messageOf({ flow, message, status, failure, at }: Job): ViewMessage {
  const { id, key, headers, body } = message;
  const type = headers["content-type"];
  const waits = status === "asleep" && at !== undefined ? at.reading.waits.map((wait) => ({ name: wait.name, key: wait.key })) : [];
  return { ...content(body, headers, typeof type === "string" ? type : ""), flow: flow.name, id, key, status, error: failure, waits };
}

interface Views {
  readonly sends: Deeds;
  readonly requests: Deeds;
  readonly attempts: Deeds;
}

const noDeeds: Views = { sends: deeds([]), requests: deeds([]), attempts: deeds([]) };

/** Lists that a deed leaves as they are stay the same objects. */
function viewsOf(log: DeedLog, startMs: number): Views {
  const { deed, before } = log;
  if (deed === undefined || before === undefined) return noDeeds;
  if (log.views === undefined) {
    const known = viewsOf(before, startMs);
    const view = viewOf(deed, startMs);
    const { idempotencyKey } = deed;
    const grown = (list: Deeds): Deeds => deeds([...list, view]);
    const isFirst = !known.requests.some((each) => each.idempotencyKey === idempotencyKey);
    log.views =
      deed.kind === "send"
        ? { ...known, sends: grown(known.sends) }
        : { ...known, attempts: grown(known.attempts), requests: isFirst ? grown(known.requests) : known.requests };
  }
  return log.views as Views;
}

/** Made when it is asked for: most rules look at little of it. */
class View implements WorldView {
  readonly ended: boolean;
  readonly #world: World;
  readonly #startMs: number;

  constructor(world: World, startMs: number, ended: boolean) {
    this.#world = world;
    this.#startMs = startMs;
    this.ended = ended;
  }

  get sends(): Deeds {
    return viewsOf(this.#world.log, this.#startMs).sends;
  }

  get requests(): Deeds {
    return viewsOf(this.#world.log, this.#startMs).requests;
  }

  get attempts(): Deeds {
    return viewsOf(this.#world.log, this.#startMs).attempts;
  }

  get messages(): readonly ViewMessage[] {
    return this.#world.jobs.map(messageOf);
  }

  get signals(): WorldView["signals"] {
    return this.#world.kept.map(({ flow, name, key }) => ({ flow, name, key }));
  }

  /** Bound: rules take it out of its object. */
  readonly state = (flow: string, key: string): Readonly<Record<string, unknown>> =>
    JSON.parse(stateJson(this.#world.states.get(stateKey(flow, key)) ?? noState) ?? "{}") as Record<string, unknown>;

  get nowMs(): number {
    return this.#world.nowMs - this.#startMs;
  }
}

export function worldView(world: World, startMs: number, ended: boolean): WorldView {
  return new View(world, startMs, ended);
}
