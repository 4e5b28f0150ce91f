/** Makes number-table.ts from Node's own Intl.NumberFormat: currencies and units in en. */

/** ICU's version whose names the table has: CLDR 48. */
export const numbersIcu = "78";
const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const displays = ["long", "short", "narrow"] as const;

function currencyName(currency: string, currencyDisplay: string, value: number): string {
  const parts = new Intl.NumberFormat("en", {
    style: "currency",
    currency,
    currencyDisplay,
    maximumFractionDigits: 0,
  } as object).formatToParts(value);
  return parts.find(({ type }) => type === "currency")!.value;
}

/** `CODE|digits|symbol|narrow symbol|name of one|name of more`; empty for 2, the code, the symbol, and an s behind the name of one. */
function currencyRow(code: string, listed: readonly string[]): string | undefined {
  const digits = new Intl.NumberFormat("en", { style: "currency", currency: code }).resolvedOptions().maximumFractionDigits;
  const symbol = currencyName(code, "symbol", 2);
  const narrow = currencyName(code, "narrowSymbol", 2);
  const [one, more] = [currencyName(code, "name", 1), currencyName(code, "name", 2)];
  if (digits === 2 && [symbol, narrow, one, more].every((text) => text === code)) return undefined;
  const cells = [
    code + (listed.includes(code) ? "*" : ""),
    digits === 2 ? "" : digits,
    symbol === code ? "" : symbol,
    narrow === symbol ? "" : narrow,
  ];
  return [...cells, one, more === `${one}s` ? "" : more].join("|");
}

function unitText(unit: string, unitDisplay: (typeof displays)[number], value: number): string {
  return new Intl.NumberFormat("en", { style: "unit", unit, unitDisplay }).format(value).slice(1);
}

/** `unit|`, and for each display what stands behind 1, behind other numbers, and behind a unit that is counted by this one. */
function unitRow(unit: string): string {
  const cells = displays.flatMap((display) => [
    unitText(unit, display, 1),
    unitText(unit, display, 2),
    unitText(`gram-per-${unit}`, display, 2).slice(unitText("gram", display, 2).length),
  ]);
  return [unit, ...cells].join("|");
}

/** The text of number-table.ts; undefined if this Node has not that version of ICU. */
export function makeNumbers(): string | undefined {
  if (!process.versions["icu"]?.startsWith(`${numbersIcu}.`)) return undefined;
  const listed = Intl.supportedValuesOf("currency");
  const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
  // The code for none is in number-names.ts: its letters mark open tasks elsewhere.
  const currencies = codes.filter((code) => code !== "X".repeat(3)).flatMap((code) => currencyRow(code, listed) ?? []);
  const lines = (rows: readonly string[]): string => rows.map((row) => `  ${JSON.stringify(row)},`).join("\n");
  return `/** Made by testing/make-numbers.ts (UPDATE=1 npm test -- kernel/runtime/intl/number), which explains it. Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
export const currencies: readonly string[] = [
${lines(currencies)}
];
export const units: readonly string[] = [
${lines(Intl.supportedValuesOf("unit").map(unitRow))}
];
`;
}
