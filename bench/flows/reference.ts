/** The reference flow: a JSON order with ten lines in; total, upper-cased name and route out. */
import { flow } from "mayfly";

interface Order {
  id: number;
  customer: { name: string };
  lines: { sku: string; qty: number; price: number }[];
}

export default flow<never>((msg) => {
  const order = msg.json<Order>();
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  return { id: order.id, total, name: order.customer.name.toUpperCase(), route: total > 1000 ? "big" : "small" };
});
