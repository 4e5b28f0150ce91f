/** Names of the journal's files. Numbers have sixteen digits, so that names sort as numbers do. */
const segmentName = /^segment-(\d{16})\.mfj$/;
const checkpointName = /^checkpoint-(\d{16})\.mfj$/;

function digits(number: number): string {
  return String(number).padStart(16, "0");
}

export function nameOfSegment(number: number): string {
  return `segment-${digits(number)}.mfj`;
}

/** A checkpoint holds what all segments below its number amount to. */
export function nameOfCheckpoint(number: number): string {
  return `checkpoint-${digits(number)}.mfj`;
}

export function numberOfSegment(name: string): number | undefined {
  const match = segmentName.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function numberOfCheckpoint(name: string): number | undefined {
  const match = checkpointName.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** The same as a question, for names of files of the journal: quick, since a start asks for every sleeper. */
export function isSegment(name: string): boolean {
  return name.startsWith("segment-");
}

/** Sleepers that the checkpoint of this number took out of its segments. */
export function nameOfSleepers(number: number): string {
  return `sleepers-${digits(number)}.mfj`;
}

export function isSleepers(name: string): boolean {
  return /^sleepers-\d{16}\.mfj$/.test(name);
}

export function nameOfBlob(unique: string): string {
  return `blob-${unique}.mfb`;
}

export function isBlob(name: string): boolean {
  return /^blob-[0-9a-z-]+\.mfb$/.test(name);
}

/** Room that is held for a checkpoint on a full disk. */
export const nameOfReserve = "reserve.mfj";

/** The next segment, while it is nothing but zeros (next-segment.ts). */
export const nameOfNext = "next.tmp";

/** A file being written that has no final name yet; recovery removes it. */
export function isTemporary(name: string): boolean {
  return name.endsWith(".tmp");
}
