/** Bodies of sleeping messages: what each came with, its events so far, its pages. Large ones are in files of their own. */
import type { SleepingLease } from "../sleepers.ts";
import type { BodyToWrite, RecordedBody, SleepingBodies } from "../format/fields.ts";
import type { Bodies } from "./bodies.ts";

export function bodiesOf({ message, sleeper }: SleepingLease): SleepingBodies<Uint8Array> {
  return { body: message.body, recording: sleeper.recording, pages: sleeper.pages };
}

export function withBodies(lease: SleepingLease, { body, recording, pages }: SleepingBodies<Uint8Array>): SleepingLease {
  return { ...lease, message: { ...lease.message, body }, sleeper: { ...lease.sleeper, recording, pages } };
}

/** The same of each body. */
export function mapBodies<From, To>({ body, recording, pages }: SleepingBodies<From>, map: (body: From) => To): SleepingBodies<To> {
  return { body: map(body), recording: map(recording), pages: pages === undefined ? undefined : map(pages) };
}

/** The same of each body, one after the other. */
export async function mapBodiesAsync(
  { body, recording, pages }: SleepingBodies<Uint8Array>,
  map: (body: Uint8Array) => Promise<Uint8Array>,
): Promise<SleepingBodies<Uint8Array>> {
  return { body: await map(body), recording: await map(recording), pages: pages === undefined ? undefined : await map(pages) };
}

export function recoveredSleeping(lease: SleepingLease, recorded: SleepingBodies<RecordedBody>, bodies: Bodies): SleepingLease {
  return withBodies(
    lease,
    mapBodies(recorded, (body) => bodies.recoveredWhole(body)),
  );
}

/** As a record has them. */
export function sleepingToWrite(lease: SleepingLease, bodies: Bodies): SleepingBodies<BodyToWrite> {
  return mapBodies(bodiesOf(lease), (body) => bodies.toWrite(body) ?? body);
}

/** Whole, to be worked on. */
export async function loadedSleeping(lease: SleepingLease, bodies: Bodies): Promise<SleepingLease> {
  const all = bodiesOf(lease);
  if (!bodies.isAway(all.body) && !bodies.isAway(all.recording) && (all.pages === undefined || !bodies.isAway(all.pages))) return lease;
  return withBodies(lease, await mapBodiesAsync(all, (body) => bodies.load(body)));
}

/** Files that a sleeping message has of its own. */
export function blobsOf(lease: SleepingLease, bodies: Bodies): string[] {
  const { body, recording, pages } = bodiesOf(lease);
  return [body, recording, pages].flatMap((each) => (each === undefined ? [] : (bodies.blobOf(each) ?? [])));
}
