/**
 * Bytes that a journal keeps for owners of several flows, the tenants of deployed functions. A flow is an owner's by its name, `OWNER--FLOW`.
 * An item costs its body, its headers and a record's head; it costs the same when it goes.
 */
import { headerList, type Headers } from "#abi";

/** Between the owner and the rest, in a flow's name. */
export const ownerMark = "--";

/** Undefined for a flow that is nobody's in particular. */
export function ownerOf(flow: string): string | undefined {
  const at = flow.indexOf(ownerMark);
  return at > 0 ? flow.slice(0, at) : undefined;
}

/** Bytes of one owner. */
export interface OwnedBytes {
  /** Of the state under all keys, in UTF-16 units. */
  readonly state: number;
  /** Of messages that are not finished, machines that sleep, sends that are not taken, and signals that are kept. */
  readonly messages: number;
}

/** Of a record and what belongs to it in memory. */
const headBytes = 256;

/** `bodyBytes`: of its body, wherever that is. */
export function itemBytes(headers: Headers, bodyBytes: number): number {
  let bytes = headBytes + bodyBytes;
  for (const [name, value] of Object.entries(headers)) for (const each of headerList(value)) bytes += name.length + each.length;
  return bytes;
}

const nothing: OwnedBytes = { state: 0, messages: 0 };

export class OwnedByAll {
  readonly #owners = new Map<string, { state: number; messages: number }>();
  /** By sequence, of each sleeper that is an owner's, as they were when it fell asleep. */
  readonly #sleepers = new Map<number, { readonly flow: string; readonly bytes: number }>();

  of(owner: string): OwnedBytes {
    return this.#owners.get(owner) ?? nothing;
  }

  addState(flow: string, bytes: number): void {
    const owner = this.#ownerOf(flow);
    if (owner !== undefined) owner.state += bytes;
  }

  /** `bytes`: called for flows of an owner only; negative for what goes. */
  addMessages(flow: string, bytes: () => number): void {
    const owner = this.#ownerOf(flow);
    if (owner !== undefined) owner.messages += bytes();
  }

  /** A message sleeps from now on. */
  asleep(sequence: number, flow: string, bytes: number): void {
    this.awake(sequence);
    if (ownerOf(flow) === undefined) return;
    this.#sleepers.set(sequence, { flow, bytes });
    this.addMessages(flow, () => bytes);
  }

  /** It is gone; nothing happens where it never slept. */
  awake(sequence: number): void {
    const slept = this.#sleepers.get(sequence);
    if (slept === undefined) return;
    this.#sleepers.delete(sequence);
    this.addMessages(slept.flow, () => -slept.bytes);
  }

  /** Of one sleeper; 0 for any other message. */
  sleeperBytes(sequence: number): number {
    return this.#sleepers.get(sequence)?.bytes ?? 0;
  }

  #ownerOf(flow: string): { state: number; messages: number } | undefined {
    const name = ownerOf(flow);
    if (name === undefined) return undefined;
    let owner = this.#owners.get(name);
    if (owner === undefined) this.#owners.set(name, (owner = { state: 0, messages: 0 }));
    return owner;
  }
}
