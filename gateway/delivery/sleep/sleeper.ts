/** An attempt whose machine is asleep, as the journal keeps it. */
import { decodeRecording, type Effect, encodeRecording, type Event, type FlowLimits, type Recording } from "#abi";
import { CodedError } from "#base";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Life } from "../../contract/runner.ts";
import { earliestDueMs, type Sleeper, type Waits } from "../../contract/sleep.ts";

export interface AsleepMachine {
  readonly flow: string;
  readonly imageSha256: string;
  readonly limits: FlowLimits;
  /** All the machine was ever given. */
  readonly events: readonly Event[];
  /** Answers to the first of them, as far as they were kept. */
  readonly steps: Recording["steps"];
  readonly nowMs: number;
  /** Longest sleep, in milliseconds. */
  readonly sleepMostMs: number;
  /** Committed before this one. */
  readonly transactions: number;
  /** Its memory, where giving it all its events again would take longer. */
  readonly pages?: Uint8Array | undefined;
}

/** Answers are left out where they do not fit. Throws MF_SLEEPER_TOO_LARGE where the events do not. */
export function sleeperOf(machine: AsleepMachine, { waits, timers }: Waits): Sleeper {
  const { imageSha256, nowMs, sleepMostMs, transactions, pages } = machine;
  const recording = recordingOf(machine);
  return {
    imageSha256,
    waits,
    timers,
    sinceMs: nowMs,
    dueMs: earliestDueMs({ waits, timers }, nowMs + sleepMostMs),
    transactions: transactions + 1,
    recording,
    ...(pages === undefined || pages.length > gatewayLimits.sleeperPagesBytes ? {} : { pages }),
  };
}

function recordingOf({ flow, imageSha256, limits, events, steps }: AsleepMachine): Uint8Array {
  const givenBytes = bytesOf(events);
  if (givenBytes > gatewayLimits.sleeperBytes) throw tooLarge(givenBytes); // before they are encoded: there may be much more
  const [deliver, ...later] = events as [Recording["deliver"], ...Recording["events"]];
  const life = { imageSha256, flow, limits, deliver, events: later, redaction: undefined };
  if (givenBytes + bytesOf(steps.flatMap(({ effects }) => effects)) <= gatewayLimits.sleeperBytes) {
    const whole = encodeRecording({ ...life, steps });
    if (whole.length <= gatewayLimits.sleeperBytes) return whole;
  }
  const bare = encodeRecording({ ...life, steps: [] });
  if (bare.length > gatewayLimits.sleeperBytes) throw tooLarge(bare.length);
  return bare;
}

/** Bytes of what may be long, at least. */
function bytesOf(parts: readonly (Event | Effect)[]): number {
  let bytes = 0;
  for (const part of parts) {
    if ("body" in part) bytes += part.body.length;
    if ("headersJson" in part) bytes += part.headersJson.length;
    if ("stateJson" in part) bytes += part.stateJson?.length ?? 0;
  }
  return bytes;
}

function tooLarge(bytes: number): CodedError {
  return new CodedError(
    "MF_SLEEPER_TOO_LARGE",
    `the machine has been given ${bytes} bytes of messages, answers and signals, more than the ${gatewayLimits.sleeperBytes} that a sleeper may keep: begin anew with continueAs() from time to time`,
  );
}

/** The memory of a machine that was asleep, after its past events. */
export function savedMemory({ pages }: Sleeper, { events }: Recording): Life["memory"] {
  return pages === undefined ? undefined : { saved: pages, events: 1 + events.length };
}

/** The sleeper's life so far. Throws MF_SLEEPER_DAMAGED. */
export function pastOf({ recording }: Sleeper): Recording {
  const decoded = decodeRecording(recording);
  if (decoded.ok) return decoded.value;
  throw new CodedError("MF_SLEEPER_DAMAGED", `a sleeping machine can't be read back: ${decoded.error}`);
}
