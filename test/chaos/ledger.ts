/**
 * Records of sent and received messages, and the verdict on them. Nothing here knows of processes or brokers: the verdict is a function of what
 * was told to the ledger, and is tested by itself.
 */
import type { Arrival } from "./message.ts";

export interface LaneTraits {
  /** Its source and outlet keep the order of a key, also through crashes and cuts. */
  readonly ordered: boolean;
  /** Its broker forgets what it has handed out: what is missing is counted, but is no fault. */
  readonly lossy: boolean;
}

interface First {
  readonly idempotencyKey: string;
  readonly count: number;
  readonly atMs: number;
}

interface Stream {
  attempted: number;
  acknowledged: number;
  highest: number;
  readonly arrived: Map<number, First>;
  readonly counts: Set<number>;
}

interface Lane {
  readonly traits: LaneTraits;
  readonly streams: Map<string, Stream>;
  received: number;
  duplicated: number;
  late: number;
}

export interface LaneVerdict {
  readonly lane: string;
  readonly sent: number;
  readonly received: number;
  readonly missing: number;
  /** Came again under the same idempotency key. */
  readonly duplicated: number;
  /** Missing on a lane whose broker is at most once. */
  readonly forgotten: number;
  /** Behind a later one of its key, on a lane whose source says so of itself. */
  readonly late: number;
}

export interface Verdict {
  readonly sent: number;
  readonly received: number;
  readonly missing: readonly string[];
  readonly duplicated: number;
  /** Duplicates though no attempt was cut. */
  readonly unexplained: readonly string[];
  /** Never sent, not whole, or run twice (two idempotency keys). */
  readonly unexpected: readonly string[];
  readonly outOfOrder: readonly string[];
  /** The counter in the state did not go up by exactly one for each message. */
  readonly miscounted: readonly string[];
  readonly lanes: readonly LaneVerdict[];
  readonly versions: number;
  readonly broken: boolean;
}

/** A cut is known a moment before or after what it cuts arrives: brokers hand on in their own time. */
const slackMs = 10_000;
/** Ids of each kind that are kept for the report. */
const mostIds = 1_000;

export class Ledger {
  readonly #lanes = new Map<string, Lane>();
  readonly #unexpected: string[] = [];
  readonly #unexplained: string[] = [];
  readonly #outOfOrder: string[] = [];
  readonly #miscounted: string[] = [];
  readonly #versions = new Set<number>();
  readonly #cutKeys = new Set<string>();
  /** Names of messages by the idempotency keys they came under. */
  readonly #keys = new Map<string, string>();
  #lastCutMs = Number.NEGATIVE_INFINITY;
  /** Anything new that was told: goes up while there is progress. */
  progress = 0;

  open(lane: string, traits: LaneTraits): void {
    this.#lanes.set(lane, { traits, streams: new Map(), received: 0, duplicated: 0, late: 0 });
  }

  /** Before the first try at sending it. */
  attempted(lane: string, key: string, seq: number): void {
    this.#stream(lane, key).attempted = seq;
  }

  acknowledged(lane: string, key: string, seq: number): void {
    this.#stream(lane, key).acknowledged = seq;
    this.progress += 1;
  }

  /** A fault that may have cut any attempt under way. */
  cut(atMs: number): void {
    this.#lastCutMs = Math.max(this.#lastCutMs, atMs);
  }

  /** The attempt under this key was cut, by a bad answer of the receiver. */
  cutOne(idempotencyKey: string): void {
    this.#cutKeys.add(idempotencyKey);
  }

  /** Acknowledged and not arrived yet. */
  outstanding(lane: string): number {
    let open = 0;
    const found = this.#lanes.get(lane);
    for (const { acknowledged } of found?.streams.values() ?? []) open += acknowledged;
    return open - (found?.received ?? 0);
  }

  get outstandingOfKeepers(): number {
    let open = 0;
    for (const [name, { traits }] of this.#lanes) if (!traits.lossy) open += Math.max(0, this.outstanding(name));
    return open;
  }

  get sent(): number {
    let sent = 0;
    for (const lane of this.#lanes.values()) for (const { acknowledged } of lane.streams.values()) sent += acknowledged;
    return sent;
  }

  get received(): number {
    let received = 0;
    for (const lane of this.#lanes.values()) received += lane.received;
    return received;
  }

  /** Something came out that is no message of ours. */
  alien(what: string): void {
    this.#note(this.#unexpected, what);
  }

  arrived(arrival: Arrival, idempotencyKey: string, atMs: number): void {
    const lane = this.#lanes.get(arrival.lane);
    const stream = lane?.streams.get(arrival.key);
    const name = `${arrival.lane}/${arrival.key}/${arrival.seq}`;
    if (lane === undefined || stream === undefined || arrival.seq < 1 || arrival.seq > stream.attempted)
      return this.alien(`${name}: never sent`);
    const owner = this.#keys.get(idempotencyKey);
    if (owner === undefined) this.#keys.set(idempotencyKey, name);
    else if (owner !== name) this.alien(`${name}: came under the idempotency key of ${owner}`);
    this.progress += 1;
    this.#versions.add(arrival.version);
    const first = stream.arrived.get(arrival.seq);
    if (first === undefined) return this.#first(lane, stream, arrival, name, { idempotencyKey, count: arrival.count, atMs });
    lane.duplicated += 1;
    if (first.idempotencyKey !== idempotencyKey) this.alien(`${name}: ran twice, as ${first.idempotencyKey} and ${idempotencyKey}`);
    else if (first.count !== arrival.count) this.alien(`${name}: came again with another content`);
    else if (!this.#cutKeys.has(idempotencyKey) && this.#lastCutMs < first.atMs - slackMs) this.#note(this.#unexplained, name);
  }

  #first(lane: Lane, stream: Stream, { seq, count }: Arrival, name: string, first: First): void {
    const { ordered, lossy } = lane.traits;
    stream.arrived.set(seq, first);
    lane.received += 1;
    if (seq < stream.highest) {
      if (ordered) this.#note(this.#outOfOrder, `${name}: behind ${stream.highest}`);
      else lane.late += 1;
    }
    stream.highest = Math.max(stream.highest, seq);
    if (stream.counts.has(count)) this.#note(this.#miscounted, `${name}: a second one counted as ${count}`);
    else if (ordered && !lossy && count !== seq) this.#note(this.#miscounted, `${name}: counted as ${count}`);
    stream.counts.add(count);
  }

  verdict(): Verdict {
    const missing: string[] = [];
    const lanes: LaneVerdict[] = [];
    for (const [name, lane] of this.#lanes) {
      let sent = 0;
      let gone = 0;
      for (const [key, stream] of lane.streams) {
        sent += stream.acknowledged;
        for (let seq = 1; seq <= stream.acknowledged; seq += 1) {
          if (stream.arrived.has(seq)) continue;
          gone += 1;
          if (!lane.traits.lossy) missing.push(`${name}/${key}/${seq}`);
        }
        this.#checkCounts(name, key, lane, stream);
      }
      const { received, duplicated, late } = lane;
      const { lossy } = lane.traits;
      lanes.push({ lane: name, sent, received, missing: lossy ? 0 : gone, duplicated, forgotten: lossy ? gone : 0, late });
    }
    const [unexplained, unexpected, outOfOrder, miscounted] = [this.#unexplained, this.#unexpected, this.#outOfOrder, this.#miscounted];
    const broken = [missing, unexplained, unexpected, outOfOrder, miscounted].some((list) => list.length > 0);
    const total = (pick: (lane: LaneVerdict) => number): number => lanes.reduce((sum, lane) => sum + pick(lane), 0);
    return {
      sent: total((lane) => lane.sent),
      received: total((lane) => lane.received),
      missing,
      duplicated: total((lane) => lane.duplicated),
      unexplained,
      unexpected,
      outOfOrder,
      miscounted,
      lanes,
      versions: this.#versions.size,
      broken,
    };
  }

  /** When everything of a key came out, its counter must have gone through 1…n, in whatever order. */
  #checkCounts(name: string, key: string, lane: Lane, stream: Stream): void {
    const complete = stream.arrived.size === stream.attempted;
    if (lane.traits.lossy || !complete || stream.counts.size !== stream.arrived.size) return;
    const most = Math.max(0, ...stream.counts);
    if (most !== stream.arrived.size)
      this.#note(this.#miscounted, `${name}/${key}: counted to ${most} for ${stream.arrived.size} messages`);
  }

  #note(list: string[], what: string): void {
    if (list.length < mostIds) list.push(what);
  }

  #stream(lane: string, key: string): Stream {
    const { streams } = this.#lanes.get(lane) as Lane;
    let stream = streams.get(key);
    if (stream === undefined) {
      stream = { attempted: 0, acknowledged: 0, highest: 0, arrived: new Map(), counts: new Set() };
      streams.set(key, stream);
    }
    return stream;
  }
}
