/** A new image beside the current one: which messages meet it, and how both fare. */
import { createHash } from "node:crypto";
import type { Flow } from "../contract/runner.ts";
import { countCode, Durations } from "./metrics.ts";

export type Side = "current" | "new";

/**
 * The flow a message meets: by the hash of its key, or of its id where it has none. Messages of a key all meet the same image, since they
 * share state; a message meets the same one at every attempt, also after a restart.
 */
export function chosenFlow(flow: Flow, { key, id }: { readonly key: string | undefined; readonly id: string }): Flow {
  const { canary } = flow;
  if (canary === undefined) return flow;
  const place = createHash("sha256")
    .update(`${flow.name}\0${key ?? id}`)
    .digest()
    .readUInt32BE(0);
  return place / 2 ** 32 < canary.share ? canary.flow : flow;
}

/** Attempts on one side, since its image came. */
export class SideMetrics {
  readonly sha256: string;
  done = 0;
  failed = 0;
  readonly failures = new Map<string, number>();
  readonly durations = new Durations();

  constructor(sha256: string) {
    this.sha256 = sha256;
  }

  ended(ms: number, code: string | undefined): void {
    this.durations.add(ms);
    if (code === undefined) this.done += 1;
    else {
      this.failed += 1;
      countCode(this.failures, code);
    }
  }
}

export class Sides {
  readonly #sides = new Map<Side, SideMetrics>();

  /** Both, where there is a new image. */
  all(flow: Flow): readonly (readonly [Side, SideMetrics])[] {
    const { canary } = flow;
    if (canary === undefined) return [];
    return [
      ["current", this.#of("current", flow.image.sha256)],
      ["new", this.#of("new", canary.flow.image.sha256)],
    ];
  }

  /** `met`: the flow an attempt ran in, as `chosenFlow` gave it. One of images that are gone is not counted. */
  ended(flow: Flow, met: Flow, ms: number, code: string | undefined): void {
    if (flow.canary === undefined) return;
    const side =
      met.image.sha256 === flow.canary.flow.image.sha256 ? "new" : met.image.sha256 === flow.image.sha256 ? "current" : undefined;
    if (side !== undefined) this.#of(side, met.image.sha256).ended(ms, code);
  }

  #of(side: Side, sha256: string): SideMetrics {
    const known = this.#sides.get(side);
    if (known?.sha256 === sha256) return known;
    const fresh = new SideMetrics(sha256);
    this.#sides.set(side, fresh);
    return fresh;
  }
}
