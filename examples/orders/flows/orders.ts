import { flow } from "mayfly";

interface Order {
  id: number;
  customer: { name: string };
  lines: { sku: string; qty: number; price: number }[];
}

export default flow<"erp" | "bigOrders" | "audit">(async (msg, { to, log }) => {
  const order = msg.json<Order>(); // or msg.xml(), msg.csv(), msg.text(), msg.bytes
  const total = order.lines.reduce((sum, l) => sum + l.qty * l.price, 0);
  log.info("order received", { id: order.id, total });

  if (total > 1000) to.bigOrders.send({ ...order, total }); // content-based router
  for (const line of order.lines) to.audit.send(line, { key: line.sku }); // splitter
  const confirmation = await to.erp.request({ id: order.id, total }); // content enricher: waits for the answer
  return { status: "accepted", erp: confirmation.json() }; // the reply, when the source wants one
});
