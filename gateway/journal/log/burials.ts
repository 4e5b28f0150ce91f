/**
 * Giving up a message or a send. Three steps, each safe before the next: the log says that a burial was begun, the dead letter is
 * written, the log says what became of it. After a crash between them the letter may be there or not, so recovery writes it again:
 * its name comes from the message, so there is one letter, and the message does not run once more beside it.
 *
 *   burying ──▶ letter ──▶ finish         a crash after `burying`: recovery goes on from the letter
 */
import { burialOf, letterOfSend, letterOfSignal } from "../burial.ts";
import type { DeadLetters } from "../dead-letters.ts";
import type { AttemptRecord, KeptSignal, Lease, OutboxEntry, SignalNumber } from "../journal.ts";
import { leaseOf } from "../sleepers.ts";
import type { Burying, LiveIndex } from "./live-index.ts";
import { loadSleeping } from "./sleeping-bodies.ts";
import { writeBurying, writeFinish, writeSendAttempt, writeSettle } from "../format/change-records.ts";
import { writeBurySignal, writeEndSignal } from "../format/sleep-records.ts";
import type { LogWriter } from "./writer.ts";

export interface BurialPorts {
  readonly index: LiveIndex;
  readonly deadLetters: DeadLetters;
  readonly writer: LogWriter;
  /** Removes a file that is needed no longer. */
  readonly remove: (...files: readonly (string | undefined)[]) => void;
}

/** Buries a message that is held; gives the letter's id. An adopted message is in no log, so the log has only the end of its signals. */
export async function buryMessage(ports: BurialPorts, lease: Lease, burying: Burying): Promise<string> {
  if (lease.durable) {
    await ports.writer.append(
      (out) => writeBurying(out, { flow: lease.message.flow, sequence: lease.sequence, ...burying }),
      () => ports.index.burying.set(lease.sequence, burying),
    );
  }
  return endMessage(ports, lease, burying);
}

export async function burySend(ports: BurialPorts, entry: OutboxEntry, record: AttemptRecord): Promise<string> {
  await ports.writer.append(
    (out) => writeSendAttempt(out, "burySend", { ...entry, dueMs: 0, record }),
    () => ports.index.buryingSends.set(entry.number, record),
  );
  return endSend(ports, entry, record);
}

export async function burySignal(ports: BurialPorts, signal: KeptSignal, record: AttemptRecord): Promise<string> {
  await ports.writer.append(
    (out) => writeBurySignal(out, { number: signal.number, record }),
    () => ports.index.buryingSignals.set(signal.number, record),
  );
  return endSignal(ports, signal, record, await ports.index.bodies.load(signal.body));
}

/** Forgets a message, which has a dead letter or was dropped. */
export async function finishMessage({ index, writer, remove }: BurialPorts, lease: Lease, letter: string | undefined): Promise<void> {
  if (!lease.durable) return index.ledger.finish(lease);
  const end = { flow: lease.message.flow, sequence: lease.sequence, letter };
  await writer.append(
    (out) => writeFinish(out, end),
    () => remove(...index.finish(end)),
  );
}

async function endMessage(ports: BurialPorts, lease: Lease, { record, consumed }: Burying): Promise<string> {
  const { bodies, ledger } = ports.index;
  const body = await bodies.load(lease.message.body);
  const signals: KeptSignal[] = [];
  for (const number of consumed) {
    const signal = ledger.signals.signal(number);
    if (signal !== undefined) signals.push({ ...signal, body: await bodies.load(signal.body) });
  }
  const { letter, asleep } = burialOf(lease, record, signals);
  const id = await ports.deadLetters.put(letter, body, String(lease.sequence), asleep);
  // The `finish` record of a durable message ends its signals as well. Together these are one batch: all are ended, or none.
  if (!lease.durable) await Promise.all(signals.map(({ number }) => takeSignal(ports, number, id)));
  await finishMessage(ports, lease, id);
  return id;
}

async function endSend({ index, writer, deadLetters, remove }: BurialPorts, entry: OutboxEntry, record: AttemptRecord): Promise<string> {
  const id = await deadLetters.put(letterOfSend(entry, record), entry.body, entry.idempotencyKey);
  await writer.append(
    (out) => writeSettle(out, { ...entry, letter: id }),
    () => remove(index.removeEntry(entry.flow, entry.outlet, entry.number)),
  );
  return id;
}

async function endSignal(ports: BurialPorts, signal: KeptSignal, record: AttemptRecord, body: Uint8Array): Promise<string> {
  const letter = await ports.deadLetters.put(letterOfSignal(signal, record), body, `signal-${signal.number}`);
  await takeSignal(ports, signal.number, letter);
  return letter;
}

/** Forgets a signal that a dead letter has, or another journal. */
export function takeSignal({ index, writer, remove }: BurialPorts, number: SignalNumber, letter: string | undefined): Promise<void> {
  return writer.append(
    (out) => writeEndSignal(out, { number, letter }),
    () => {
      remove(index.releaseSignal(number));
      index.ledger.signals.take(number);
    },
  );
}

/** Goes on with burials a crash has cut; gives a remark on each. */
export async function finishBurials(ports: BurialPorts): Promise<string[]> {
  const { ledger, bodies, burying, buryingSends, buryingSignals } = ports.index;
  const remarks: string[] = [];
  const attempt = async (what: string, bury: () => Promise<string>): Promise<void> => {
    try {
      remarks.push(`${what}: its interrupted move to the dead letters is finished, dead letter ${await bury()}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      remarks.push(
        `${what}: its interrupted move to the dead letters can't be finished (${why}); it is retried, and may already have a dead letter`,
      );
    }
  };
  for (const flow of ledger.flows.values()) {
    for (const { lease } of [...flow.pending.values()]) {
      const begun = burying.get(lease.sequence);
      if (begun === undefined) continue;
      const what = `message ${lease.message.id} of ${lease.message.flow}`;
      await attempt(what, () => endMessage(ports, lease, begun));
    }
    for (const queue of flow.outbox.values()) {
      for (const [entry] of [...queue.entries()]) {
        const record = buryingSends.get(entry.number);
        if (record === undefined) continue;
        await attempt(`send ${entry.idempotencyKey}`, async () =>
          endSend(ports, { ...entry, body: await bodies.load(entry.body) }, record),
        );
      }
    }
  }
  for (const [sequence, begun] of [...burying]) {
    const slot = ledger.sleepers.slot(sequence);
    if (slot === undefined) continue;
    await attempt(`sleeping message ${slot.id} of ${slot.flow}`, async () => {
      const lease = await loadSleeping(slot, bodies);
      return endMessage(ports, leaseOf(lease, slot, lease.token), begun);
    });
  }
  for (const [number, record] of [...buryingSignals]) {
    const signal = ledger.signals.signal(number);
    if (signal === undefined) continue;
    const what = `signal ${signal.id} for ${signal.flow}`;
    await attempt(what, async () => endSignal(ports, signal, record, await bodies.load(signal.body)));
  }
  return remarks;
}
