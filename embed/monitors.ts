/** Monitors that sandboxes share: a thread serves thousands of functions. */
import { openMonitor, type OpenedMonitor } from "./host.ts";
import type { LoadOptions } from "./embed.d.ts";
import { embedLimits } from "./limits.ts";

interface Shared extends OpenedMonitor {
  readonly key: string;
  users: number;
  loads: number;
}

const shared = new Map<string, Shared>();

/** A share of a monitor. */
export interface MonitorShare extends OpenedMonitor {
  /** Closes the monitor with its last share. */
  release(): Promise<void>;
}

/**
 * A monitor keeps pages of images that were unloaded, since machines of them may still run: after many images the next sandboxes get another,
 * and the old one goes with its last user.
 */
export function shareMonitor(name: LoadOptions["monitor"], workers: number | undefined): MonitorShare {
  const key = `${name ?? "embedded"} ${workers ?? ""}`;
  let found = shared.get(key);
  if (found === undefined || found.loads >= embedLimits.imagesPerMonitor) {
    found = { ...openMonitor(name, workers), key, users: 0, loads: 0 };
    shared.set(key, found);
  }
  const own = found;
  own.users += 1;
  own.loads += 1;
  return {
    monitor: own.monitor,
    held: own.held,
    async release() {
      own.users -= 1;
      if (own.users > 0) return;
      if (shared.get(key) === own) shared.delete(key);
      await own.monitor.close();
    },
  };
}
