import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { retryAfterMs } from "./exchange.ts";

test("Retry-After in seconds, as a date, and nonsense", () => {
  const nowMs = Date.UTC(2026, 0, 1);
  deepEqual(
    [
      retryAfterMs("3", nowMs),
      retryAfterMs("Thu, 01 Jan 2026 00:00:10 GMT", nowMs),
      retryAfterMs("Wed, 31 Dec 2025 00:00:00 GMT", nowMs),
      retryAfterMs("soon", nowMs),
      retryAfterMs(undefined, nowMs),
    ],
    [3000, 10_000, 0, undefined, undefined],
  );
});
