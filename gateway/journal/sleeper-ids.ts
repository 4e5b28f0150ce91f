/** Sleepers by the ids of their messages. Each flow has a map of its own: many messages with one id in one flow do not slow down a look in another. */
import type { Sequence } from "./journal.ts";

export class SleeperIds {
  /** One sleeper of an id, or several, the last put last. */
  readonly #byFlow = new Map<string, Map<string, Sequence | Set<Sequence>>>();

  add(flow: string, id: string, sequence: Sequence): void {
    let ids = this.#byFlow.get(flow);
    if (ids === undefined) this.#byFlow.set(flow, (ids = new Map()));
    const known = ids.get(id);
    if (known === undefined) ids.set(id, sequence);
    else if (typeof known === "object") known.add(sequence);
    else ids.set(id, new Set([known, sequence]));
  }

  remove(flow: string, id: string, sequence: Sequence): void {
    const ids = this.#byFlow.get(flow);
    const known = ids?.get(id);
    if (ids === undefined || known === undefined) return;
    if (typeof known === "object") known.delete(sequence);
    if (known === sequence || (typeof known === "object" && known.size === 0)) ids.delete(id);
    if (ids.size === 0) this.#byFlow.delete(flow);
  }

  /** The first of this id, in any flow if none is given. */
  find(id: string, flow: string | undefined): Sequence | undefined {
    for (const ids of flow === undefined ? this.#byFlow.values() : [this.#byFlow.get(flow)]) {
      const known = ids?.get(id);
      if (typeof known !== "object" && known !== undefined) return known;
      for (const first of known ?? []) return first;
    }
    return undefined;
  }
}
