/** The reference flow, which also sends: what a durable gateway must keep. */
import { flow } from "mayfly";

interface Order {
  id: number;
  customer: { name: string };
  lines: { sku: string; qty: number; price: number }[];
}

export default flow<"audit">((msg, { to }) => {
  const order = msg.json<Order>();
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  to.audit.send({ id: order.id, total, name: order.customer.name.toUpperCase(), route: total > 1000 ? "big" : "small" });
});
