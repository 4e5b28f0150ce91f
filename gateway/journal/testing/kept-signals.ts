import type { Journal, KeptSignal } from "../journal.ts";

/** Every signal kept for such a wait, one after the other, the oldest first. */
export async function keptFor(journal: Journal, flow: string, name: string, key: string): Promise<KeptSignal[]> {
  const found: KeptSignal[] = [];
  for (;;) {
    const last = found.at(-1)?.number ?? 0;
    const signal = await journal.firstSignal(flow, name, key, ({ number }) => number > last);
    if (signal === undefined) return found;
    found.push(signal);
  }
}
