/**
 * Model peers with seeded habits over links that lose, repeat, delay and damage frames: bytes arrive whole and in order or the connection
 * is known to be broken, and slots, blocks and handshakes are all free after a quiet time. MAYFLY_CONNECTIONS sets their number.
 */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { seed } from "../../../base/testing/seed.ts";
import { trial } from "../testing/trials.ts";
import { soundLink } from "../testing/world.ts";

const connections = Number(process.env["MAYFLY_CONNECTIONS"] ?? 10_000);
const together = 50;

test(`${connections} connections, ${together} at a time`, { timeout: 86_400_000 }, () => {
  let whole = 0;
  for (let first = 0; first < connections; first += together) {
    const own = seed + first;
    try {
      whole += trial({ seed: own, connections: together }).whole;
    } catch (error) {
      throw new Error(`trial({ seed: ${own}, connections: ${together} })`, { cause: error });
    }
  }
  ok(whole > connections / 2, `${whole} of ${connections} connections were whole`);
});

test("more connections at once than the memory has slots: the newest are refused, the others are whole", () => {
  const { whole, broken } = trial({ seed: 1, connections: 600, memoryBytes: 3 << 16, faults: soundLink });
  equal(whole + broken, 600);
  ok(whole > 100 && broken > 100, `${whole} whole, ${broken} broken`);
});
