/** The reading of a query against a table in memory, of which every length and every value is chosen. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CodedError } from "#base";
import { eventually, PretendedGateway, testContext } from "../testing/rig.ts";
import { queryLimits } from "./limits.ts";
import type { QueryServer } from "./query-position.ts";
import { querySource } from "./query-source.ts";

interface TestRow {
  readonly at: number;
  /** As the server measures it. */
  readonly bytes: number;
  readonly json: string;
}

const long = queryLimits.rowBytes + 1;

/** Values are written with four digits, so that they compare as texts do. */
function serverOf(table: readonly TestRow[]): QueryServer {
  const cursorOf = ({ at }: TestRow): string => String(at).padStart(4, "0");
  const from = (value: string | undefined): TestRow[] =>
    [...table].sort((a, b) => a.at - b.at).filter((row) => value === undefined || cursorOf(row) >= value);
  const isBeyond = (row: TestRow, beyond: string | undefined): boolean => beyond === undefined || cursorOf(row) > beyond;
  return {
    lengths: async (page) =>
      from(page.from)
        .slice(0, page.most)
        .map((row) => ({ cursor: cursorOf(row), isBeyond: isBeyond(row, page.beyond), bytes: row.bytes })),
    async rows(page, onRow) {
      const rows = from(page.from)
        .filter(({ bytes }) => bytes <= queryLimits.rowBytes)
        .slice(0, page.most);
      for (const row of rows) onRow({ cursor: cursorOf(row), json: row.json, isBeyond: isBeyond(row, page.beyond) });
    },
    ping: async () => undefined,
    newest: async () => undefined,
  };
}

function reading(server: QueryServer, late = 0) {
  const context = testContext(64);
  const gateway = new PretendedGateway();
  const source = querySource({
    config: { table: "t", cursor: "at", from: "all", late, poll: 5, heartbeat: 60_000 },
    context,
    name: "tested",
    peer: "memory",
    explain: (_peer, _place, error) => (error instanceof CodedError ? error : new CodedError("MF_TESTED", String(error))),
    open: async () => server,
  });
  const texts = (): string[] => gateway.texts().sort();
  return { context, gateway, source, texts, start: () => source.start(gateway.accept) };
}

describe("rows of a query", { timeout: 120_000 }, () => {
  test("whatever their lengths and values, short rows come once, and long ones are counted once", async () => {
    const row = fc.record({
      at: fc.integer({ min: 0, max: 30 }),
      bytes: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(queryLimits.pageBytes - 1, queryLimits.rowBytes, long)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), fc.constantFrom(0, 3_600_000), async (rows, late) => {
        const table = rows.map(({ at, bytes }, id) => ({ at, bytes: bytes === long ? long + id : bytes, json: JSON.stringify({ id }) }));
        const { context, gateway, source, texts, start } = reading(serverOf(table), late);
        await start();
        const short = table.filter(({ bytes }) => bytes < long).map(({ json }) => json);
        await eventually("all came", () => gateway.settled >= short.length);
        await eventually("all are counted", () => (context.counts.get("unreadable") ?? 0) >= table.length - short.length);
        await source.stop();
        assert.deepEqual(texts(), short.sort());
        assert.equal(context.counts.get("unreadable") ?? 0, table.length - short.length);
      }),
      { numRuns: 60 },
    );
  });

  test("more long rows than a page has are passed by, one after the other and of one value", async () => {
    for (const at of [(id: number) => id, () => 7]) {
      const table = Array.from({ length: 1_300 }, (_, id) => ({ at: at(id), bytes: long + id, json: "" }));
      table.push({ at: 9_999, bytes: 1, json: `"last"` });
      const { context, gateway, source, start } = reading(serverOf(table));
      await start();
      await eventually("the last came", () => gateway.settled === 1);
      assert.equal(context.counts.get("unreadable"), 1_300);
      await source.stop();
    }
  });

  test("rows that grew after they were measured are not held beyond a page: they are read again", async () => {
    const json = JSON.stringify("x".repeat(2 ** 20));
    const table = Array.from({ length: 40 }, (_, id) => ({ at: id < 10 ? id : 10, bytes: 1, json: `${json}${" ".repeat(id)}` }));
    const server = serverOf(table);
    let pages = 0;
    const counting: QueryServer = { ...server, rows: (page, onRow) => ((pages += 1), server.rows(page, onRow)) };
    const { gateway, source, start } = reading(counting);
    await start();
    await eventually("all came", () => gateway.settled === 40, 60_000);
    assert.ok(pages >= 10, `${pages} pages of ${queryLimits.pageBytes} bytes for 40 MiB`);
    await source.stop();
  });
});
