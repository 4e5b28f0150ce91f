/** The reference flow between two topics: the record's key stays. */
import { flow } from "mayfly";

interface Order {
  id: number;
  customer: { name: string };
  lines: { sku: string; qty: number; price: number }[];
}

export default flow<"routed">((msg, { to }) => {
  const order = msg.json<Order>();
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  to.routed.send({ id: order.id, total, name: order.customer.name.toUpperCase(), route: total > 1000 ? "big" : "small" }, { key: msg.key });
});
