/** Small things every folder above may use: assertions, results, clocks, a seeded generator, byte helpers. No I/O. */
import "./tick-shapes.ts";
export { assert, unreachable } from "./assert.ts";
export { type Brand } from "./brand.ts";
export { concatBytes, equalBytes, fromHex, fromUtf8, toHex, toUtf8, writeUtf8 } from "./bytes.ts";
export { CellMap } from "./cell-map.ts";
export { type Clock, systemClock } from "./clock.ts";
export { collectGarbage } from "./collect.ts";
export { CodedError, isCoded } from "./coded-error.ts";
export { MemoryAccount, memoryBudget, type MemoryHolder, type MemoryWait } from "./memory-budget.ts";
export { type Prng, prng } from "./prng.ts";
export { err, ok, type Result } from "./result.ts";
export { durationForm, durationUnitsMs, parseDuration, parseSize, readDuration, readSize, sizeForm } from "./units.ts";
export { Queue } from "./queue.ts";
export { table } from "./table.ts";
export { Scan, textOfValue, valuesAt } from "./json-pointer.ts";
export { TextHash } from "./text-hash.ts";
