/** An operator's hands: flows and outlets stopped and started, queues looked at and emptied, images listed and put back. */
import { CodedError } from "#base";
import { hint } from "./config/suggest.ts";
import { controlLimits } from "./contract/limits.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Controlled } from "./http/control.ts";
import { unknownFlow } from "./letter-retries.ts";
import type { ServedFlow } from "./served-flow.ts";
import type { FlowState } from "./delivery/flow-state.ts";

/** An image of the store. */
export interface StoredImage {
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** The flow's file it was built from, relative to the project; null where nothing is known. */
  readonly flow: string | null;
  readonly bytes: number;
  /** Milliseconds since 1970, and the user who built it; null where nothing is known. */
  readonly builtAt: number | null;
  readonly builtBy: string | null;
}

/** The port to whoever keeps images: the command line. */
export interface ImageKeeper {
  list(): Promise<readonly StoredImage[]>;
  /** The flow runs this image from the next load on; undefined: the one it is built to again. Gives the hash. Rejects with a CodedError. */
  pin(flow: string, image: string | undefined): Promise<string | undefined>;
  /** The image a flow is put back to. */
  pinned(flow: string): string | undefined;
  /** The load that followed was taken, or not. */
  settle(flow: string, taken: boolean): void;
}

export interface ControlPorts {
  readonly flows: ReadonlyMap<string, ServedFlow>;
  readonly memory: GatewayMemory;
  readonly images: ImageKeeper | undefined;
  /** Machines asleep, by the hash of their image. */
  readonly sleepers: () => ReadonlyMap<string, number>;
  /** Loads the flow's image again and swaps it in. */
  readonly reloadFlow: (flow: string) => Promise<void>;
}

export class Controls implements Controlled {
  readonly #ports: ControlPorts;

  constructor(ports: ControlPorts) {
    this.#ports = ports;
  }

  get memory(): GatewayMemory {
    return this.#ports.memory;
  }

  async turn(flow: string, state: FlowState): Promise<object> {
    const served = this.#served(flow);
    const kept = await served.turn(state);
    return { flow, state, kept, pending: served.delivery.pending, running: served.delivery.running };
  }

  async turnOutlet(flow: string, outlet: string, paused: boolean): Promise<object> {
    const served = this.#served(flow);
    const kept = await served.turnOutlet(outlet, paused);
    if (kept === undefined) {
      const names = served.outlets.map(({ channel }) => channel.name);
      throw new CodedError("MF_OUTLET_UNKNOWN", `the flow ${flow} has no outlet "${outlet}"${hint(outlet, names)}`);
    }
    return { flow, outlet, state: paused ? "paused" : "running", kept, waiting: served.outbox(outlet)?.depth ?? 0 };
  }

  async queue(flow: string | undefined): Promise<object> {
    const flows = flow === undefined ? [...this.#ports.flows.values()] : [this.#served(flow)];
    return { flows: flows.map(queueOf) };
  }

  async purge(flow: string, dryRun: boolean): Promise<object> {
    const { delivery } = this.#served(flow);
    const waiting = delivery.waiting().filter(({ state }) => state !== "running" && state !== "settling").length;
    if (dryRun) return { flow, waiting, inJournal: delivery.hasBacklog };
    return { flow, purged: await delivery.purge() };
  }

  async images(): Promise<object> {
    const users = new Map<string, string[]>();
    for (const { name, delivery } of this.#ports.flows.values())
      for (const sha256 of delivery.images) users.set(sha256, [...(users.get(sha256) ?? []), name]);
    const stored = (await this.#ports.images?.list()) ?? [];
    const sleepers = this.#ports.sleepers();
    const uses = (sha256: string): object => ({ usedBy: users.get(sha256) ?? [], sleepers: sleepers.get(sha256) ?? 0 });
    const listed = stored.map((each) => ({ ...each, ...uses(each.sha256) }));
    const known = new Set(stored.map(({ sha256 }) => sha256));
    const others = [...new Set([...users.keys(), ...sleepers.keys()])].filter((sha256) => !known.has(sha256));
    const elsewhere = others.map((sha256) => ({ sha256, flow: null, bytes: null, builtAt: null, builtBy: null, ...uses(sha256) }));
    return { images: [...listed, ...elsewhere] };
  }

  async rollback(flow: string, image: string | undefined): Promise<object> {
    const { delivery } = this.#served(flow);
    const { images, reloadFlow } = this.#ports;
    if (images === undefined)
      throw new CodedError("MF_IMAGES_MISSING", "this gateway has no store of images: serve it with `mayfly serve`");
    const before = delivery.flow.image.sha256;
    const pinned = images.pinned(flow);
    await images.pin(flow, image);
    try {
      await reloadFlow(flow);
    } catch (error) {
      images.settle(flow, false);
      await images.pin(flow, pinned === undefined ? undefined : `sha256:${pinned}`);
      throw error;
    }
    images.settle(flow, true);
    return { flow, image: delivery.flow.image.sha256, before, pinned: images.pinned(flow) !== undefined };
  }

  #served(flow: string): ServedFlow {
    const served = this.#ports.flows.get(flow);
    if (served === undefined) throw unknownFlow(flow, this.#ports.flows.keys());
    return served;
  }
}

function queueOf({ name, delivery, outlets, switches }: ServedFlow): object {
  const waiting = delivery.waiting();
  const counts: Record<string, number> = { queued: 0, behind: 0, resting: 0, held: 0, running: 0, settling: 0 };
  for (const { state } of waiting) counts[state] = (counts[state] ?? 0) + 1;
  return {
    flow: name,
    state: switches.state,
    counts,
    /** The journal has more than are shown here. */
    inJournal: delivery.hasBacklog,
    messages: waiting.slice(0, controlLimits.messagesShown),
    outlets: outlets.map(({ channel, outbox }) => ({
      outlet: channel.name,
      waiting: outbox.depth,
      delayed: outbox.delayed,
      underWay: channel.underWay,
      paused: channel.paused,
      holds: outbox.holds.size,
      circuitOpenMs: Math.round(channel.circuitOpenMs),
    })),
  };
}
