import { fail, flow } from "mayfly";

interface Item {
  sku: string;
  price: number;
}

interface Order {
  sku: string;
  quantity: number;
}

export default flow<"catalogue" | "warehouse">(async (msg, { to, log, reply, values }) => {
  const quote = async (sku: string, quantity: number) => {
    const answer = await to.catalogue.request(undefined, { path: `/${encodeURIComponent(sku)}` });
    if (answer.status === 404) fail(`there is no ${sku}`, { code: "SKU_UNKNOWN", status: 404, retry: false });
    const { price } = answer.json<Item>();
    return { sku, quantity, total: Math.round(price * quantity * 100) / 100, currency: values.currency };
  };

  if (msg.params.sku !== undefined) return quote(msg.params.sku, Number(msg.query.quantity ?? 1));

  const { sku, quantity } = msg.json<Order>();
  if (!(Number.isSafeInteger(quantity) && quantity > 0))
    fail("the quantity must be a whole number above 0", { code: "QUANTITY_INVALID", status: 422, retry: false });
  const order = { id: crypto.randomUUID().slice(0, 8), ...(await quote(sku, quantity)) };
  to.warehouse.send(order, { key: sku }); // the caller gets its reply once the warehouse has it
  log.info("order placed", { id: order.id, total: order.total, by: msg.headers["mayfly-caller"] });
  reply(order, { status: 201, headers: { location: `/orders/${order.id}` } });
});
