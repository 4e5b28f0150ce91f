/** Small facts that sources keep over restarts, in the journal's state: as durable as the journal is. */
import type { Clock } from "#base";
import type { Persistence } from "./delivery/persistence.ts";
import type { Accepted, Journal, NewMessage } from "./journal/journal.ts";
import { flowKey, isPartitionAway } from "./journal/partitions/partitioned-journal.ts";
import type { Recall } from "./contract/source.ts";

const factName = "fact";

const keyOf = (name: string): string => `${flowKey} ${name}`;

export interface RecallPorts {
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
}

export function journalRecall(flow: string, { journal, persistence, clock }: RecallPorts): Recall {
  return {
    async read(name) {
      const state = await persistence.keepTrying(() => journal.readState(flow, keyOf(name)));
      if (state?.json === undefined) return undefined;
      return (JSON.parse(state.json) as { readonly [factName]?: string })[factName];
    },
    async write(name, fact) {
      const key = keyOf(name);
      const state = await persistence.keepTrying(() => journal.readState(flow, key));
      if (state === undefined) return; // the gateway is closing
      let adopted: Accepted;
      try {
        adopted = journal.adopt(carrier(flow, key, clock.now()));
      } catch (error) {
        if (isPartitionAway(error)) return; // its next owner keeps facts of its own
        throw error;
      }
      if (adopted.status !== "leased") return;
      const { lease } = adopted;
      const changes = [{ name: factName, valueJson: JSON.stringify(fact) }];
      const completed = await persistence.keepTrying(() =>
        journal.complete(lease, { nowMs: clock.now(), sends: [], state: { key, version: state.version, changes }, reply: undefined }),
      );
      if (completed?.status !== "committed") journal.release(lease);
    },
  };
}

/** The journal changes state with the completion of a message: this one exists for that alone. */
function carrier(flow: string, key: string, receivedMs: number): NewMessage {
  return {
    flow,
    id: "mf-source",
    source: "gateway",
    headers: {},
    contentType: "",
    body: new Uint8Array(0),
    key,
    correlationId: undefined,
    receivedMs,
    expiresMs: undefined,
    dedup: undefined,
  };
}
