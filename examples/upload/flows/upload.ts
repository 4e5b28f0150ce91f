import { csv, flow, text } from "mayfly";
import { escaped, page } from "../page.ts";
import { type Price, priceOf, type Row } from "../price.ts";

const batchSize = 100;

/** Spreadsheets save UTF-8 with a mark, or windows-1252. */
function read(bytes: Uint8Array): string {
  try {
    return text.parse(bytes);
  } catch {
    return text.parse(bytes, "windows-1252");
  }
}

/** The file of the form: good rows go to the catalogue in batches, the answer lists the others. */
export default flow<"catalogue">(async (msg, { to, log }) => {
  const [file] = msg.form().files;
  if (file === undefined || file.size === 0) return page("<p>No file came: choose one, and upload it.</p>", 400);

  let rows: Row[];
  try {
    rows = csv.parse<Row>(read(await file.bytes()));
  } catch (error) {
    return page(`<p>${escaped(file.name)} is not a CSV file: ${escaped((error as Error).message)}</p>`, 400);
  }

  const prices: Price[] = [];
  const refused: string[] = [];
  for (const [index, row] of rows.entries()) {
    const price = priceOf({ sku: row.sku ?? "", price: row.price ?? "", valid: row.valid ?? "" });
    if (typeof price !== "string") prices.push(price);
    else refused.push(`<tr><td>${index + 2}<td>${escaped(Object.values(row).join("; "))}<td>${escaped(price)}`); // line 1 has the names
  }
  for (let at = 0; at < prices.length; at += batchSize) to.catalogue.send({ prices: prices.slice(at, at + batchSize) });

  log.info("prices uploaded", { file: file.name, taken: prices.length, refused: refused.length });
  const table = `<table><thead><tr><th>Line<th>Row<th>Why it was refused<tbody>${refused.join("")}</table>`;
  return page(`<p id="taken">${prices.length} taken, ${refused.length} refused.</p>${refused.length > 0 ? table : ""}`);
});
