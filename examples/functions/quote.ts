import { flow } from "mayfly";

interface Cart {
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** Prices a cart, with the rates of another service. */
export default flow<"rates">(async (msg, { to, log, values }) => {
  const cart = msg.json<Cart>();
  const answer = await to.rates.request({ skus: cart.lines.map(({ sku }) => sku) });
  const cents = answer.json<Readonly<Record<string, number>>>();
  const total = cart.lines.reduce((sum, { sku, quantity }) => sum + quantity * (cents[sku] ?? 0), 0);
  log.info("quoted", { lines: cart.lines.length, total });
  return { total, currency: values["currency"] };
});
