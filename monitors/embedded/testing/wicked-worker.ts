/** Stands in for worker.ts: takes slots as that does, but instead of running a machine does what the message's body says. */
import { workerData, parentPort, type MessagePort } from "node:worker_threads";
import { decodeEvent, type Effect, encodeEffects } from "#abi";
import { assert, fromUtf8 } from "#base";
import { control, nextSubmission, operation, Slots, slotState, statuses, word, type WorkerSetup } from "../slots.ts";

const { buffer } = workerData as WorkerSetup;
const port = parentPort as MessagePort;
const slots = new Slots(buffer);
const words = slots.control;
let current = 0;

/** Runs a message; returns its effects, unless it ended the thread. */
function act(body: string): Effect[] {
  const [deed, rest = ""] = body.split(" ");
  if (deed === "exit") process.exit(1);
  if (deed === "throw") throw new Error("wicked");
  if (deed === "memory") for (const held: number[][] = []; ; ) held.push(Array.from({ length: 1e5 }, () => Math.random()));
  if (deed === "hang") for (;;);
  if (deed === "spin") {
    const untilMs = performance.now() + Number(rest);
    while (performance.now() < untilMs);
  }
  return deed === "wait" ? [{ kind: "timer", timer: 1, dueMs: 1 }] : [{ kind: "done", reply: undefined }];
}

function serve(submission: number): void {
  const header = slots.header(submission);
  if (Atomics.compareExchange(header, word.state, slotState.queued, slotState.running) !== slotState.queued) return;
  if (header[word.operation] !== operation.drop) {
    current = submission + 1;
    Atomics.store(words, control.running, current);
    const startedMs = performance.now();
    const event = decodeEvent(slots.data(submission).subarray(0, header[word.length]));
    assert(event.ok, "events are sound");
    const body = event.value.kind === "deliver" ? fromUtf8(event.value.body) : "";
    const effects = encodeEffects(act(body));
    slots.data(submission).set(effects);
    header[word.length] = effects.length;
    header[word.status] = statuses.indexOf("complete");
    header[word.detailLength] = 0;
    header[word.keptBytes] = body === "wait" ? 1 : 0;
    header[word.cpuMicros] = Math.round((performance.now() - startedMs) * 1000);
    Atomics.store(words, control.running, 0);
  }
  Atomics.store(header, word.state, slotState.done);
  if (Atomics.exchange(words, control.bell, 1) === 0) port.postMessage(0);
}

Atomics.store(words, control.ready, 1);
port.postMessage(0);
for (let served = 0; ; served = nextSubmission(served)) {
  while (Atomics.load(words, control.submitted) === served) Atomics.wait(words, control.submitted, served);
  serve(served);
}
