/** A line of the file, as people write it. */
export interface Row {
  readonly sku: string;
  readonly price: string;
  readonly valid: string;
}

export interface Price {
  readonly sku: string;
  readonly cents: number;
  /** As 2026-12-31. */
  readonly validFrom: string;
}

function dayOf(text: string): string | undefined {
  const [, day, month, year] = /^(\d{2})\.(\d{2})\.(\d{4})$/.exec(text) ?? [];
  const iso = `${year}-${month}-${day}`;
  // The 31st of February would be a day in March.
  return day !== undefined && new Date(`${iso}T00:00:00Z`).getUTCDate() === Number(day) ? iso : undefined;
}

/** The price, or what is wrong with the row. */
export function priceOf({ sku, price, valid }: Row): Price | string {
  if (!/^[A-Z]+-\d+$/.test(sku)) return `${sku || "nothing"} is not an article such as LAMP-7`;
  const amount = /^(\d{1,3}(?:\.\d{3})*|\d+),(\d{2})$/.exec(price); // 1.234,50
  if (amount === null) return `${price || "nothing"} is not a price such as 1.234,50`;
  const validFrom = dayOf(valid);
  if (validFrom === undefined) return `${valid || "nothing"} is not a day such as 31.12.2026`;
  return { sku, cents: Number(amount[1]!.replaceAll(".", "")) * 100 + Number(amount[2]), validFrom };
}
