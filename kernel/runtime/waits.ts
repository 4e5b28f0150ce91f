/** Durable waits: for a signal, for a person's answer. What the machine did before is committed while it sleeps. */
import { hardLimits } from "../../abi/limits.ts";
import type { ApproveOptions, Signal as PublicSignal, WaitOptions } from "./api.d.ts";
import { Content } from "./content.ts";
import { requireEffect } from "./effects.ts";
import { checkLength, FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { message } from "./message.ts";
import { milliseconds } from "./timers.ts";
import { signalPart, waitEffect } from "./wire.ts";

/** The end of a wait: a message addressed to this machine. */
export class Signal extends Content implements PublicSignal {
  readonly id: string;
  readonly name: string;
  readonly key: string;

  constructor(id: string, name: string, key: string) {
    super();
    this.id = id;
    this.name = name;
    this.key = key;
  }

  protected get bodyPart(): number {
    return signalPart.body;
  }

  protected get headersPart(): number {
    return signalPart.headers;
  }

  protected get what(): string {
    return "the signal";
  }

  protected refusal(sentence: string, cause: unknown): FlowError {
    return new FlowError("MF_SIGNAL_INVALID", sentence, false, 0, cause);
  }

  toJSON(): object {
    return { id: this.id, name: this.name, key: this.key, headers: this.shownHeaders, bytes: this.bytes.length };
  }
}

interface OpenWait {
  readonly name: string;
  readonly key: string;
  readonly resolve: (signal: Signal | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

const waits = new Map<number, OpenWait>();
let made = 0;
/** The signal brought by the current event, if any. */
let current: Signal | undefined;

export function openWaits(): number {
  return waits.size;
}

const noOptions: WaitOptions = Object.freeze({});
const approvalName = "approval";

function open(name: string, key: string, timeout: number | string | undefined, question?: string): Promise<Signal | undefined> {
  checkLength(name, hardLimits.nameBytes, "the name of a signal");
  checkLength(key, hardLimits.keyBytes, "the key of a signal");
  if (name === "") throw new FlowError("MF_ARGUMENT", "wait: a signal needs a name", false);
  const dueMs = timeout === undefined ? -1 : Date.now() + milliseconds(timeout, "wait: timeout", hardLimits.sleepMs);
  requireEffect();
  const number = ++made;
  native.emit(waitEffect, number, name, key, dueMs, question);
  return new Promise((resolve, reject) => {
    waits.set(number, { name, key, resolve, reject });
  });
}

/** Waits for a signal; undefined when the time is over before one came. */
export function wait(name: string, options: WaitOptions = noOptions): Promise<Signal | undefined> {
  try {
    return open(String(name), String(options.key ?? message.key ?? message.id), options.timeout);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Waits for a person's choice; undefined when the time is over before one was made. */
export async function approve(question: string, options: ApproveOptions): Promise<string | undefined> {
  const { options: choices, to, timeout } = options;
  if (!Array.isArray(choices) || choices.length === 0 || choices.some((choice) => typeof choice !== "string" || choice === ""))
    throw new FlowError("MF_ARGUMENT", 'approve: options must be a list of texts, such as ["approve", "reject"]', false);
  const asked = JSON.stringify({ question: String(question), options: choices, ...(to === undefined ? {} : { to: String(to) }) });
  checkLength(asked, hardLimits.questionBytes, "the question of an approval");
  const key = options.key ?? `${message.id}/${made + 1}`;
  const answer = await open(approvalName, String(key), timeout, asked);
  if (answer === undefined) return undefined;
  const chosen = answer.json<{ readonly option?: unknown } | null>()?.option;
  if (typeof chosen === "string" && choices.includes(chosen)) return chosen;
  throw new FlowError("MF_SIGNAL_INVALID", `the answer ${JSON.stringify(chosen)} is not one of ${choices.join(", ")}`, false);
}

/** A `signal` event. One for a wait that was given up is dropped. */
export function onSignal(): void {
  const number = native.number(signalPart.wait);
  const found = waits.get(number);
  if (found === undefined) return;
  waits.delete(number);
  const id = native.text(signalPart.id);
  found.resolve(id === undefined ? undefined : (current = new Signal(id, found.name, found.key)));
}

/** Forgets every wait; those who wait are told. */
export function abandonWaits(reason: unknown): void {
  for (const found of waits.values()) found.reject(reason);
  waits.clear();
}

/** Takes the current signal out of its event, which is about to go. */
export function holdSignal(): void {
  current?.hold();
  current = undefined;
}
