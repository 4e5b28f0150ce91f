/** kernel/native/csv.ts beside papaparse: the same rows, the same faults in the same rows. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import papaparse from "papaparse";
import type { CsvParseOptions } from "../api.d.ts";
import { nativeInNode } from "../node-natives.ts";
import { NativeMachine } from "../testing/native-machine.ts";
import { parse, stringify } from "./csv-format.ts";
import { strict } from "./csv-options.ts";
import { parseWithLibrary } from "./testing/csv-reference.ts";

const machine = {
  native: { csv: (text: string, ...values: unknown[]) => nativeInNode("csv", text, ...values) as unknown[] },
  decodeText: () => undefined,
};

/** The result of a reader: its rows, or its sentence with the library's words replaced by ours. */
function outcome(read: () => unknown[]): string {
  try {
    return JSON.stringify(read());
  } catch (error) {
    return (error as Error).message
      .replace("Quoted field unterminated", "a quoted field has no closing quote")
      .replace("Trailing quote on quoted field is malformed", "something stands between a closing quote and the next delimiter");
  }
}

const noWriter = { csvText: () => undefined, unlikeRows: () => undefined };
const sayRow = /^row \d+: .*/s;

/** Texts of which the library drops something: a mark within the text, and a field of quotes with nothing but spaces behind it. */
const dropped = /^\ufeff?(?:sep=.[\r\n]+)?\ufeff|(?:^|[\r\n])""[^\S\r\n]/;

/** Compares both on a text; true if it was read. In which row a fault of quotes is, the library does not know where line breaks are mixed. */
function expectSame(text: string, options: CsvParseOptions): boolean {
  if (dropped.test(text.replace(/^\ufeff/, ""))) return false;
  const [library, ours] = [outcome(() => parseWithLibrary(text, options)), outcome(() => parse(text, machine, options))];
  const breaks = new Set(text.match(/\r\n|\r|\n/g));
  if (breaks.size > 1 && sayRow.test(library)) ok(sayRow.test(ours), `${JSON.stringify([text, options])}: ${ours}`);
  else equal(ours, library, JSON.stringify([text, options]));
  return ours.startsWith("[");
}

const options = fc.record<CsvParseOptions>(
  {
    header: fc.oneof(
      fc.constantFrom(true, false),
      fc.uniqueArray(fc.constantFrom("a", "b", "1", "0", "__proto__", "", "é"), { minLength: 1, maxLength: 4 }),
      fc.constant(["x", "x"]),
    ),
    strict: fc.boolean(),
    keepEmptyRows: fc.boolean(),
    delimiter: fc.constantFrom(",", ";", "\t", " ", "é", "€", "😀", "a", "\0"),
  },
  { requiredKeys: [] },
);
const newline = fc.constantFrom("\n", "\r\n", "\r");
const unit = fc.constantFrom(
  "a",
  "bc",
  "é",
  "€",
  "😀",
  ",",
  ",",
  ";",
  "\t",
  " ",
  "\u00a0",
  "\u2003",
  "\ufeff",
  "\0",
  '"',
  '""',
  "0",
  "12345678",
  "\n",
  "\n",
  "\r",
);

test("texts of any characters", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 24 }), newline, options, (units, end, given) => {
      if (expectSame(units.join("").replaceAll("\n", end), given)) read++;
    }),
    { numRuns: 6000 },
  );
  ok(read > 1000, `${read} were read`);
});

test("tables, sound and damaged, with the delimiter that is found", () => {
  const field = fc.oneof(
    fc.constantFrom(
      "",
      "x",
      "some words",
      "1.50",
      "é",
      "€uro",
      '"q"',
      '"a,b;c"',
      '"two\nlines"',
      '"he said ""no"""',
      '""',
      '" x "',
      '"x" ',
    ),
    fc.stringMatching(/^[a-z0-9 ]{0,20}$/),
  );
  const table = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(",", ";", "\t", "|"), newline)
    .chain(([columns, delimiter, end]) =>
      fc
        .array(fc.array(field, { minLength: columns, maxLength: columns }), { minLength: 2, maxLength: 14 })
        .map((rows) => rows.map((row) => row.join(delimiter)).join(end)),
    );
  const edit = fc.tuple(fc.boolean(), fc.nat(), unit);
  let read = 0;
  fc.assert(
    fc.property(
      table,
      fc.array(edit, { maxLength: 2 }),
      options,
      fc.constantFrom("", "\n", "\ufeff", "sep=;\n"),
      (text, edits, given, more) => {
        const damaged = edits.reduce((all, [cuts, place, what]) => {
          const at = place % (all.length + 1);
          return cuts ? all.slice(0, at) + all.slice(at + 2) : all.slice(0, at) + what + all.slice(at);
        }, text);
        const { delimiter: _, ...found } = given;
        if (expectSame(more === "\n" ? damaged + more : more + damaged, found)) read++;
      },
    ),
    { numRuns: 4000 },
  );
  ok(read > 1000, `${read} were read`);
});

test("more columns and rows than stacks begin with", () => {
  const names = Array.from({ length: 2000 }, (_, i) => `c${i}`);
  const rows = Array.from({ length: 300 }, (_, i) => `${i},"x ""${i}""",${"y".repeat(i % 20)}`);
  ok(expectSame(`${names.join()}\n${names.join()}\n`, {}));
  ok(expectSame(`a,b,c\n${rows.join("\n")}`, {}));
  ok(expectSame(`a,b,c\n${rows.join("\n")}\nd`, { strict: false }));
});

test("rows are written as papaparse writes them", () => {
  const text = fc.array(unit, { maxLength: 4 }).map((units) => units.join(""));
  fc.assert(
    fc.property(
      fc.array(fc.array(text, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(",", ";", "\t", ":", "a", "^", "]", "\\", "-", "😀"),
      newline,
      (rows, delimiter, end) => {
        const single = rows.some((row) => row.length === 1);
        const quotes = (field: string): boolean => (field === "" ? single : /^sep=|[,\t|;\x1e\x1f]/i.test(field));
        equal(stringify(rows, noWriter, { delimiter, newline: end }), papaparse.unparse(rows, { delimiter, newline: end, quotes }) + end);
      },
    ),
    { numRuns: 2000 },
  );
});

test("in the machine nothing is left of rows that were freed, nor when memory runs out at any moment", () => {
  const native = new NativeMachine();
  native.json(new TextEncoder().encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
  const read = native.run("(options, names) => native.csv(native.text(0), ',', options, 1e9, names)");
  const names = native.run("['a', 'b', '7']");
  const numbers = native.run("[1]"); // makes no columns, which is when the machine looks for an exception
  const [none, flags, zero] = [native.call("qjs_get_undefined"), native.call("qjs_new_number", strict), native.call("qjs_new_number", 0)];
  // ASCII: the engine itself loses the bytes of other texts when memory runs out while it encodes them.
  const sound = `${Array.from({ length: 200 }, (_, i) => `${i},"e ""${i}""",x`).join("\n")}\n`;
  for (const text of [sound, `1\n${sound}`, `${sound}1`, `${sound}"`, `${sound}"x"y`]) {
    native.json(new TextEncoder().encode(text));
    native.free(native.call("qjs_get_exception"));
    for (const [option, shape] of [
      [flags, names],
      [zero, names],
      [zero, none],
    ] as const) {
      for (let i = 0; i < 2; i++) native.free(native.apply(read, option, shape));
      let refused = 0;
      for (let more = 0; ; more += more < 2000 ? 16 : 997) {
        native.call("qjs_run_gc");
        const before = native.usage();
        native.limit(before.bytes + more);
        const value = native.apply(read, option, shape);
        native.limit(0);
        const failed = native.isException(value);
        if (failed) native.free(native.call("qjs_get_exception"));
        native.free(value);
        native.call("qjs_run_gc");
        deepEqual(native.usage(), before, `${more} bytes`);
        if (!failed) {
          const next = native.apply(read, option, numbers);
          ok(!native.isException(next), "no exception is left for the next call");
          native.free(next);
          break;
        }
        refused++;
      }
      ok(refused > 10, `memory ran out in ${refused} places`);
    }
  }
});
