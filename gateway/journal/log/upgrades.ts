/**
 * From older formats to this one. Files of an older version are read through here and are never rewritten in place: the next
 * checkpoint is of this version, and the old files go. A file of a newer version is refused (MF_JOURNAL_VERSION).
 *
 * When the format changes: raise formatVersion in batch.ts, add what turns a payload of the version before into one of this, and
 * compose the older ones with it.
 *
 *   1   the first
 *   2   sleepers, signals and delayed sends: records of new kinds, all older ones as they were
 */
export type Upgrade = (payload: Uint8Array) => Uint8Array;

/** Version of a file → what makes its payloads readable. */
export const upgrades: ReadonlyMap<number, Upgrade> = new Map([[1, (payload: Uint8Array): Uint8Array => payload]]);
