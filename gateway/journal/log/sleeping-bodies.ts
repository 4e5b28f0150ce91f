/** Bodies of sleeping messages: what each came with, its events so far, its pages. Large ones are in files of their own. */
import type { SleepingLease, Slot } from "../slot.ts";
import type { BodyToWrite, RecordedBody, RecordedSleeping, SleepingBodies } from "../format/fields.ts";
import { decodeRecord } from "../format/records.ts";
import type { Bodies } from "./bodies.ts";
import { corruptError } from "./errors.ts";
import type { RecordPlace } from "./places.ts";

export function bodiesOf({ message, sleeper }: SleepingLease): SleepingBodies<Uint8Array> {
  return { body: message.body, recording: sleeper.recording, pages: sleeper.pages };
}

export function withBodies(lease: SleepingLease, { body, recording, pages }: SleepingBodies<Uint8Array>): SleepingLease {
  return { ...lease, message: { ...lease.message, body }, sleeper: { ...lease.sleeper, recording, pages } };
}

/** The same of each body, one after the other. */
export async function mapBodies<Body>(
  { body, recording, pages }: SleepingBodies<Body>,
  map: (body: Body) => Promise<Uint8Array>,
): Promise<SleepingBodies<Uint8Array>> {
  return { body: await map(body), recording: await map(recording), pages: pages === undefined ? undefined : await map(pages) };
}

/** As a record has them. */
export function sleepingToWrite(lease: SleepingLease, bodies: Bodies): SleepingBodies<BodyToWrite> {
  const { body, recording, pages } = bodiesOf(lease);
  const write = (each: Uint8Array): BodyToWrite => bodies.toWrite(each) ?? each;
  return { body: write(body), recording: write(recording), pages: pages && write(pages) };
}

/** Files that a sleeping message has of its own. */
export function blobsOf(lease: SleepingLease, bodies: Bodies): string[] {
  const { body, recording, pages } = bodiesOf(lease);
  return [body, recording, pages].flatMap((each) => (each === undefined ? [] : (bodies.blobOf(each) ?? [])));
}

export function blobsOfRecord({ body, recording, pages }: SleepingBodies<RecordedBody>): string[] {
  const files: string[] = [];
  for (const each of [body, recording, pages]) if (each?.form === "blob") files.push(each.file);
  return files;
}

/** The sleeping message in a payload that was read from its place. Throws MF_JOURNAL_CORRUPT. */
export function sleepingIn(payload: Uint8Array, { file, offset }: RecordPlace): RecordedSleeping {
  const record = decodeRecord(payload);
  if (record?.kind === "sleeper") return record;
  if (record?.kind === "transaction" && record.sleeping !== undefined) return record.sleeping;
  throw corruptError(file, offset, "no sleeper stands here");
}

/**
 * Reads a sleeper without the bodies that have files of their own. A checkpoint may move it meanwhile: then it is read at its new place.
 * Rejects with MF_JOURNAL_CORRUPT or MF_JOURNAL_IO.
 */
export async function readSleeping(slot: Slot<RecordPlace>, bodies: Bodies): Promise<RecordedSleeping> {
  for (;;) {
    const place = slot.stored;
    try {
      return sleepingIn(await bodies.readRecord(place), place);
    } catch (error) {
      if (slot.stored === place) throw error;
    }
  }
}

/** Reads a sleeper, whole. Rejects with MF_JOURNAL_CORRUPT or MF_JOURNAL_IO. */
export async function loadSleeping(slot: Slot<RecordPlace>, bodies: Bodies): Promise<SleepingLease> {
  const { lease, bodies: recorded } = await readSleeping(slot, bodies);
  return withBodies(lease, await mapBodies(recorded, (body) => bodies.loadRecorded(body)));
}
