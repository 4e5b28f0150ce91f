import { flow } from "mayfly";

interface Line {
  readonly number: string;
  readonly customer: string;
  readonly amount: string;
}

/** A file in, a record for each of its lines out. What a line says is the next flow's business: a bad one must not hold up the file. */
export default flow<"orders">((msg, { to, log }) => {
  const file = decodeURIComponent(msg.headers["mayfly-file-name"] ?? "unnamed");
  const lines = msg.csv<Line>();
  for (const line of lines) to.orders.send(line, { key: line.customer, headers: { "x-file": encodeURIComponent(file) } });
  log.info("file collected", { file, lines: lines.length });
});
