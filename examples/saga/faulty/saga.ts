/**
 * The saga with a fault that no test finds which lets the payment come in time, or not at all: it may come while the release is under way.
 * `mayfly explore faulty/saga.ts` finds it.
 */
import { flow } from "mayfly";

interface Order {
  readonly id: string;
  readonly lines: readonly { readonly sku: string; readonly qty: number }[];
}

export default flow<"stock" | "billing" | "mail">(async (msg, { to, wait, sleep }) => {
  const order = msg.json<Order>();
  const reserved = await to.stock.request({ order: order.id, reserve: order.lines });
  if (reserved.status === 409) {
    to.mail.send({ order: order.id, text: "sold out" });
    return;
  }
  to.mail.send({ order: order.id, text: "please pay" });
  let paid = false;
  const payment = wait<{ amount: number }>("payment", { key: order.id }).then((signal) => {
    paid = true;
    to.billing.send({ order: order.id, paid: signal?.json().amount });
  });
  await Promise.race([payment, sleep("2d")]);
  if (paid) return;
  await to.stock.request({ order: order.id, release: order.lines });
  to.mail.send({ order: order.id, text: "cancelled" });
});
