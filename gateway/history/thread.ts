/** The thread that writes history. */
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { historyLimits } from "./limits.ts";
import type { FolderSettings } from "./settings.ts";
import { HistoryWriter, type WriterStatus } from "./writer.ts";

export interface ThreadSetup {
  readonly folder: string;
  readonly settings: FolderSettings;
}

/** To the thread. `sync`: answered once everything before it is written. */
export type ToThread =
  | { readonly kind: "batch"; readonly bytes: ArrayBuffer; readonly length: number; readonly entries: number }
  | { readonly kind: "sync"; readonly number: number }
  | { readonly kind: "close" };

export type FromThread =
  | { readonly kind: "written"; readonly length: number; readonly bytes: ArrayBuffer }
  | { readonly kind: "synced"; readonly number: number }
  | { readonly kind: "status"; readonly status: WriterStatus }
  | { readonly kind: "closed" };

/** Messages come first where processors are scarce. On Linux a thread has a niceness of its own; elsewhere it would be the process's. */
function giveWay(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(historyLimits.niceness);
  } catch {
    // forbidden here: then it runs as everything else does
  }
}

const port = parentPort;
if (port !== null) {
  giveWay();
  const { folder, settings } = workerData as ThreadSetup;
  const writer = new HistoryWriter(folder, settings, { now: Date.now });
  const tell = (message: FromThread, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  const report = (): void => tell({ kind: "status", status: writer.status() });
  writer.open();
  report();
  const ticks = setInterval(() => {
    writer.tick();
    report();
  }, historyLimits.tickMs);
  port.on("message", (message: ToThread) => {
    switch (message.kind) {
      case "batch": {
        const { bytes, length, entries } = message;
        if (!writer.append(Buffer.from(bytes, 0, length), entries)) report();
        return tell({ kind: "written", length, bytes }, [bytes]);
      }
      case "sync":
        return tell({ kind: "synced", number: message.number });
      case "close":
        clearInterval(ticks);
        writer.close();
        report();
        tell({ kind: "closed" });
        return port.close();
    }
  });
}
