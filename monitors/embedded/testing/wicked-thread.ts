/** Stands in for worker.ts: takes slots as that does, but instead of running a machine does what the message's body says. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { decodeEvent, type Effect, encodeEffects } from "#abi";
import { assert, fromUtf8 } from "#base";
import { control, nextSubmission, operation, Slots, slotState, statuses, type ToWorker, word, type WorkerSetup } from "../wire.ts";

/** The setup of a wicked worker. */
export interface WickedSetup extends WorkerSetup {
  /** Not 0 once steps that are held may go on. */
  readonly released?: Int32Array;
}

const { buffer, released } = workerData as WickedSetup;
const port = parentPort as MessagePort;
const slots = new Slots(buffer);
const words = slots.control;
let current = 0;

/** Runs a message; returns its effects, unless it ended the thread or was interrupted. */
function act(body: string): Effect[] | undefined {
  const [deed, rest = ""] = body.split(" ");
  if (deed === "exit") process.exit(1);
  if (deed === "throw") throw new Error("wicked");
  if (deed === "memory") for (const held: number[][] = []; ; ) held.push(Array.from({ length: 1e5 }, () => Math.random()));
  if (deed === "hang") for (;;);
  if (deed === "spin") {
    const untilMs = performance.now() + Number(rest);
    while (performance.now() < untilMs) if (Atomics.load(words, control.interrupt) === current) return undefined;
  }
  if (deed === "hold" && released !== undefined) {
    while (Atomics.load(released, 0) === 0) if (Atomics.load(words, control.interrupt) === current) return undefined;
  }
  return deed === "wait" ? [{ kind: "timer", timer: 1, dueMs: 1 }] : [{ kind: "done", reply: undefined }];
}

const frames = new Map<number, readonly Uint8Array[]>();

/** The newest of the events. */
function newest(submission: number, header: Int32Array): Uint8Array {
  const length = header[word.length] as number;
  if (length >= 0) return slots.frames(submission, length).at(-1) as Uint8Array;
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    const message = received.message as ToWorker;
    if (message.kind === "frames") frames.set(message.submission, message.frames);
  }
  return frames.get(submission)?.at(-1) as Uint8Array;
}

function serve(submission: number): void {
  const header = slots.header(submission);
  if (Atomics.compareExchange(header, word.state, slotState.queued, slotState.running) !== slotState.queued) return finish(header);
  if (header[word.operation] !== operation.drop) {
    current = submission + 1;
    Atomics.store(words, control.running, current);
    const startedMs = performance.now();
    const event = decodeEvent(newest(submission, header));
    assert(event.ok, "events are sound");
    const body = event.value.kind === "deliver" ? fromUtf8(event.value.body) : "";
    const effects = act(body);
    const frame = encodeEffects(effects ?? []);
    slots.data(submission).set(frame);
    header[word.length] = frame.length;
    header[word.status] = statuses.indexOf(effects === undefined ? "interrupted" : "complete");
    header[word.detailLength] = 0;
    header[word.keptBytes] = body === "wait" ? 1 : 0;
    header[word.cpuMicros] = Math.round((performance.now() - startedMs) * 1000);
    Atomics.store(words, control.running, 0);
  }
  finish(header);
}

function finish(header: Int32Array): void {
  Atomics.store(header, word.state, slotState.done);
  if (Atomics.exchange(words, control.bell, 1) === 0) port.postMessage(0);
}

Atomics.store(words, control.ready, 1);
port.postMessage(0);
for (let served = 0; ; served = nextSubmission(served)) {
  while (Atomics.load(words, control.submitted) === served) Atomics.wait(words, control.submitted, served);
  serve(served);
}
