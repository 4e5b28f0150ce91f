/** The console of a microVM. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { standaloneLimits } from "../limits.ts";
import type { Machine } from "./folder.ts";
import { isAlive } from "./process.ts";

/** Control characters of a guest are no business of a terminal. */
export const cleanText = (text: string): string => text.replace(/[^\n\t\x20-\x7e\u00a0-\uffff]/g, "");

/** All of it, then, with `follow`, later lines until the microVM ends or `stopped` is aborted. True if its file is full, so that lines are lost. */
export async function readConsole(
  machine: Machine,
  follow: boolean,
  write: (text: string) => void,
  stopped: AbortSignal,
): Promise<boolean> {
  const file = await open(join(machine.folder, "console.log"));
  try {
    const buffer = Buffer.alloc(standaloneLimits.consoleTailBytes);
    const decoder = new TextDecoder();
    for (let at = 0; ; ) {
      const alive = isAlive(machine.record.process);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead > 0) {
        at += bytesRead;
        write(cleanText(decoder.decode(buffer.subarray(0, bytesRead), { stream: true })));
        continue;
      }
      const { size } = await file.stat();
      if (size < at)
        at = 0; // somebody has cut it
      else if (!follow || !alive || stopped.aborted) return size >= standaloneLimits.consoleBytes;
      else await pause(standaloneLimits.lookMs, undefined, { signal: stopped }).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}
