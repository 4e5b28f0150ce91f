/** Bounds of deployed functions. */
import { gatewayLimits } from "../contract/limits.ts";

const kib = 1024;
const mib = 1024 * kib;
const second = 1000;
const minute = 60 * second;

export const functionLimits = {
  /** Functions of one gateway. */
  functions: 100_000,
  /** Versions of one function that are kept; the oldest that nothing names go first. */
  versions: 10,
  aliases: 16,
  /** Longest fragment, in bytes. */
  fragmentBytes: 16 * kib,
  /** Longest image that is uploaded, in bytes. */
  imageBytes: 32 * mib,
  /** Longest body of any other request, in bytes. */
  bodyBytes: 64 * kib,
  /** Uploaded images that no function names are removed after this time, in milliseconds. */
  unnamedMs: 60 * minute,
  /** Uploaded images of one tenant that no function names yet. */
  unnamedPerTenant: 8,

  /** Secrets of one tenant, and the longest value, in bytes. */
  secrets: 256,
  secretBytes: 32 * kib,

  /** The log of records is written anew when it is longer than twice its contents and this, in bytes. */
  logSlackBytes: mib,
  /** Lines of a log that is written anew are joined up to this length, in bytes. */
  logPieceBytes: mib,

  /** Served functions beyond which those that were not called for the longest time leave memory. */
  served: 1_000,
  /** Functions that are started at once when the gateway starts. */
  startsAtOnce: 16,
  /** A function was called lately for this time, in milliseconds: it stays. */
  lately: 10 * second,
  /** A function that could not be started is tried again by a request after this time, in milliseconds. */
  startAgainMs: 1 * second,

  /** A caller of a tenant that keeps as many bytes as it may tries again after this time, in milliseconds. */
  fullRetryMs: 30 * second,
  /** Settings of all functions of one tenant, all their versions, in UTF-16 units: they are in memory. */
  settings: 16 * mib,

  /** Longest flow that is written in the page, in bytes. */
  codeBytes: 256 * kib,
  /** Longest message of a trial, in bytes, and its longest time, in milliseconds. */
  trialBytes: mib,
  trialMs: 10 * second,
  /** Builds and trials of all tenants at once. */
  workshopPlaces: 4,

  /** Deploys and other changes by one tenant, unless `deploys` says otherwise. */
  deploys: { count: 600, windowMs: minute },
  /** Messages of one tenant that are queued, running or waiting for a retry, unless `queue` says otherwise. */
  queue: 4 * gatewayLimits.pendingPerFlow,
  /** Functions of one tenant, unless `functions` says otherwise. */
  perTenant: 1_000,
  tenants: 10_000,
  keys: 16,
  /** Shortest key, in characters. */
  keyCharacters: 20,
  tenantsFileBytes: 4 * mib,
  /** Figures of usage are this old at most, in milliseconds, and are kept on disk at this interval. */
  usageMs: 1 * second,
  usageKeptMs: 10 * second,

  /** Log lines of one function that are kept, and the characters of one. */
  logLines: 200,
  logCharacters: 2_000,
  /** Functions whose lines are kept. */
  loggedFunctions: 2_000,
  /** Functions listed in one answer. */
  listed: 1_000,
} as const;
