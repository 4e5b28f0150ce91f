import { flow } from "mayfly";
import type { Operations, Sku } from "../shop.types.ts";

type Stock = Record<Sku, number>;

export default flow<Operations["createOrder"], "warehouse" | "orders">(async (msg, { to, reply }) => {
  const order = msg.json(); // the contract's type, and checked
  const answer = await to.warehouse.request({ skus: order.lines.map(({ sku }) => sku) });
  const stock = answer.json<Stock>();

  const missing = order.lines.filter(({ sku, quantity }) => (stock[sku] ?? 0) < quantity).map(({ sku }) => sku);
  if (missing.length > 0) return reply({ missing }, { status: 409 });
  if (msg.parameters.query["dry-run"]) return reply(undefined, { status: 204 });

  const placed = { ...order, id: crypto.randomUUID().slice(0, 8) };
  to.orders.send(placed); // leaves only if the flow completes
  reply(placed, { status: 201, headers: { location: `/v1/orders/${placed.id}` } });
});
