/** The gateway as it is watched: its figures, its dead letters and its events, as the admin endpoints ask for them. */
import type { GatewayMemory } from "./contract/memory.ts";
import { EventStreams } from "./http/event-streams.ts";
import type { Watched } from "./http/watched.ts";
import { connectorList, flowList, Letters, map, oneFlow, overview, Watch } from "./watch/mod.ts";
import type { LetterPorts } from "./watch/letters.ts";
import type { WatchPorts } from "./watch/watch.ts";

export class Watching implements Watched {
  readonly events = new EventStreams();
  readonly letters: Letters;
  readonly #watch: Watch;

  constructor(ports: WatchPorts, letters: LetterPorts) {
    this.#watch = new Watch(ports);
    this.letters = new Letters(letters);
    this.#watch.onSample = () => {
      if (this.events.size === 0) return;
      void this.overview(false).then((now) => this.events.send("overview", () => now));
    };
  }

  get memory(): GatewayMemory {
    return this.#watch.ports.memory;
  }

  /** From now on there is a past. Without it reading begins with the first that asks. */
  begin(): void {
    this.#watch.begin();
  }

  end(): void {
    this.#watch.end();
    this.events.close();
  }

  async overview(past: boolean): Promise<object> {
    const watch = this.#begun;
    let letters = 0;
    for (const { name } of watch.ports.flows()) letters += await watch.ports.lettersOf(name);
    return { ...overview(watch, letters), ...(past ? { past: watch.all.past(watch.sampledMs) } : {}) };
  }

  map(): object {
    return map(this.#begun);
  }

  flowList(): object {
    return flowList(this.#begun);
  }

  oneFlow(name: string): object | undefined {
    return oneFlow(this.#begun, name);
  }

  connectorList(): object {
    return connectorList(this.#begun);
  }

  get #begun(): Watch {
    this.#watch.begin();
    return this.#watch;
  }
}
