/** The numbered messages: what the prober sends, and what must come out at the other end. */

/** One message on its way in. The next of its key is sent only once this one was acknowledged. */
export interface Probe {
  readonly lane: string;
  readonly key: string;
  /** 1, 2, … within lane and key. */
  readonly seq: number;
  /** Identity of the message for duplicates: the same each time it is sent. */
  readonly id: string;
  readonly body: string;
}

/** Sends of a flow for each message. */
export interface Arrival {
  readonly lane: string;
  readonly key: string;
  readonly seq: number;
  /** The counter kept in the key's state, after this message. */
  readonly count: number;
  /** Of the flow that ran: goes up with every upgrade. */
  readonly version: number;
  readonly pad: string;
}

/** Most bodies are short, one in a hundred goes over a socket in many pieces and lies in the journal as a file of its own. */
export function padOf(lane: string, key: string, seq: number): string {
  const unit = `${lane}/${key}/${seq};`;
  const bytes = seq % 97 === 13 ? 300_000 : (seq * 37) % 400;
  return unit.repeat(Math.ceil(bytes / unit.length));
}

export function probeOf(run: string, lane: string, key: string, seq: number): Probe {
  const body = JSON.stringify({ lane, key, seq, pad: padOf(lane, key, seq) });
  return { lane, key, seq, id: `${run}-${lane}-${key}-${seq}`, body };
}

/** Undefined if it is not one of ours, or truncated. */
export function readArrival(text: string): Arrival | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { lane, key, seq, count, version, pad } = (value ?? {}) as Partial<Arrival>;
  if (typeof lane !== "string" || typeof key !== "string" || typeof seq !== "number") return undefined;
  if (typeof count !== "number" || typeof version !== "number" || pad !== padOf(lane, key, seq)) return undefined;
  return { lane, key, seq, count, version, pad };
}
