import { flow } from "mayfly";

/** A CSV file in, one message for each row. What a row says is the next flow's business: a bad one must not hold up the others. */
export default flow<"rows">((msg, { to, log }) => {
  const file = decodeURIComponent(msg.headers["mayfly-file-name"] ?? "unnamed");
  const rows = msg.csv();
  for (const [index, row] of rows.entries()) {
    // The first row of data is line 2 of the file.
    to.rows.send(row, { key: row["email"], headers: { "x-file": encodeURIComponent(file), "x-line": String(index + 2) } });
  }
  log.info("file split", { file, rows: rows.length });
});
