/**
 * The first of a flow's images that treats recorded messages otherwise. Images are run in the order they were built, each over the messages
 * that differ with the newest: a change that was taken back later is seen as well, which halving would miss.
 */
import type { RecordedMessage } from "#gateway";
import type { LoadedImage, Monitor } from "#monitors";
import { backtest, type BacktestOptions } from "./backtest.ts";

export interface Candidate {
  readonly sha256: string;
  /** Milliseconds since 1970. */
  readonly builtMs: number;
  readonly load: () => Promise<{ readonly loaded: LoadedImage; readonly limits: BacktestOptions["limits"] }>;
}

export interface BisectStep {
  readonly image: string;
  readonly builtAt: number;
  /** Messages that are not the same, of those that were looked at. */
  readonly different: number;
}

export interface Bisect {
  /** Messages that were run through each image. */
  readonly messages: number;
  /** Oldest first. */
  readonly images: readonly BisectStep[];
  /** The first image that differs; null if none does. */
  readonly first: string | null;
}

async function* each(messages: readonly RecordedMessage[]): AsyncGenerator<RecordedMessage> {
  yield* messages;
}

export async function bisect(
  monitor: Monitor,
  candidates: readonly Candidate[],
  messages: readonly RecordedMessage[],
  { rules }: Pick<BacktestOptions, "rules">,
): Promise<Bisect> {
  const images: BisectStep[] = [];
  for (const { sha256, builtMs, load } of [...candidates].sort((a, b) => a.builtMs - b.builtMs)) {
    const { loaded, limits } = await load();
    const { messages: ran, same } = await backtest(monitor, loaded, each(messages), { limits, rules });
    monitor.unload(loaded);
    images.push({ image: sha256, builtAt: builtMs, different: ran - same });
  }
  return { messages: messages.length, images, first: images.find(({ different }) => different > 0)?.image ?? null };
}
