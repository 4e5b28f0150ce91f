/**
 * The contract between whoever has a message and whatever runs machines. Every monitor (embedded, process, qemu) has this
 * shape and passes monitor.case.ts; for the same image and the same events each gives byte-identical effects.
 *
 * Ownership: events and the bodies in them must not be changed while their machine lives; what comes out belongs to the caller.
 * Failure: nothing here throws or rejects for what a machine does; that is a StepOutcome. Promises reject only with a
 * CodedError when an image can't be loaded.
 */
import type { DeliverEvent, Event, FlowLimits, StepOutcome } from "#abi";
import type { MemoryAccount } from "#base";
import type { Image } from "#image";
import type { Share } from "./fair-queue.ts";

/** An image a monitor can start machines from, until it is unloaded. */
export interface LoadedImage {
  /** SHA-256 of the image, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly name: string;
}

/** The life so far of a machine that was asleep. */
export interface Life {
  /** All it was ever given, `deliver` first. The last one is new. */
  readonly events: readonly Event[];
  /** Its memory after the first `events`, as `Machine.save` gave it: then those need not be given again. What can't be read is left out. */
  readonly memory?: { readonly saved: Uint8Array; readonly events: number } | undefined;
}

/** One running copy of an image: `ready → running ⇄ waiting → done / failed`. */
export interface Machine {
  /** The outcome of the last event the machine was started with. */
  readonly first: Promise<StepOutcome>;
  /** All it was given, in order; empty once it is over. */
  readonly events: readonly Event[];
  /** Gives a waiting machine its next event. One at a time: events given while a step runs are queued, at most 1,024. */
  step(event: Exclude<Event, DeliverEvent>): Promise<StepOutcome>;
  /**
   * A waiting machine's memory, for `Life.memory`; undefined where it does not wait, or its monitor can't tell: then its events are enough.
   * The monitor that gave it can read it, with the same version of Mayfly.
   */
  save(): Promise<Uint8Array | undefined>;
  /** Ends the machine in whatever state it is and gives back what it holds. Steps still open resolve as `broken`, MF_MACHINE_ENDED. */
  end(): void;
}

export interface MonitorStats {
  /** Machines that wait for a worker. */
  readonly queued: number;
  /** Machines in a step now. */
  readonly running: number;
  /** Machines that wait for an answer or a timer. */
  readonly waiting: number;
  /** Workers (threads, processes or virtual machines) alive. */
  readonly workers: number;
  /** Workers replaced since the start because a machine broke them. */
  readonly replaced: number;
  /** Bytes held for waiting machines. */
  readonly waitingBytes: number;
}

/** Accounts of the process's memory budget for what a monitor holds. */
export interface MonitorMemory {
  /** Waiting machines, set aside. Over its share the oldest are put off: they run again from their first event when their answer comes. */
  readonly waiting: MemoryAccount;
  /** Workers: memory of the machines that run, and events on their way to them. */
  readonly workers: MemoryAccount;
}

export interface Monitor {
  readonly name: "embedded" | "process" | "qemu";
  /** Makes an image ready to start machines from. Cheap when it is loaded already. */
  load(image: Image): Promise<LoadedImage>;
  /** Forgets an image; its running machines go on to their end. */
  unload(image: LoadedImage): void;
  /** Starts a machine in the image's pristine state and gives it its message. `limits` default to the image's own, and so does the share. */
  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits, share?: Share): Machine;
  /** Goes on with a machine that was asleep. */
  resume(image: LoadedImage, life: Life, limits?: FlowLimits, share?: Share): Machine;
  stats(): MonitorStats;
  /** Ends every machine and releases every thread, process and descriptor. */
  close(): Promise<void>;
}
