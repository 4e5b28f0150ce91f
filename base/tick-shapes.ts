/**
 * Keeps `process.nextTick` fast, for its side effect only. V8's inline cache for the objects that nextTick makes holds their shapes
 * weakly: a full garbage collection at a moment when none of them lives clears it, and from then on every call takes the slow
 * way through the runtime (5 % of the main thread under load). So one of each kind is kept for as long as the process lives, and
 * this module has to be evaluated before the first collection: base/mod.ts imports it first.
 */
import { executionAsyncResource } from "node:async_hooks";

const kept: object[] = [];
const keep = (): void => void kept.push(executionAsyncResource());

process.nextTick(keep);
process.nextTick(keep, 1);
