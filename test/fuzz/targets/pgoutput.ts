/** Changes as a PostgreSQL server sends them. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { isCoded } from "#base";
import { decode } from "../../../connectors/postgres/changes/pgoutput.ts";
import { encode, pgMessages } from "../../../connectors/testing/pgoutput.ts";
import { faulty, type Target } from "../target.ts";

const seedCount = 40;

export async function openPgoutput(): Promise<Target> {
  return {
    name: "pgoutput",
    seeds: fc.sample(pgMessages, { seed: 20261201, numRuns: seedCount }).map(encode),
    words: ["N", "K", "O", "t", "u", "n"],
    headBytes: 6,
    run(input) {
      try {
        const message = decode(Buffer.from(input));
        const again = message.kind === "other" ? message : decode(encode(message));
        return isDeepStrictEqual(message, again) ? { signature: message.kind } : faulty(message.kind, "it is written and read otherwise");
      } catch (error) {
        if (isCoded(error) && error.code === "MF_POSTGRES_STREAM") return { signature: error.message.replace(/\d+|".*"/g, "") };
        return faulty("thrown", String(error));
      }
    },
  };
}
