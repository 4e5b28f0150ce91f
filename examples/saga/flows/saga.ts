/** An order: reserve, wait up to two days for the payment, bill it, or else give the goods back. */
import { fail, flow } from "mayfly";

interface Order {
  readonly id: string;
  readonly lines: readonly { readonly sku: string; readonly qty: number }[];
}

interface Payment {
  readonly amount: number;
}

export default flow<"stock" | "billing" | "mail">(async (msg, { to, wait, log }) => {
  const order = msg.json<Order>();
  const reserved = await to.stock.request({ order: order.id, reserve: order.lines });
  if (reserved.status === 409) {
    to.mail.send({ order: order.id, text: "sold out" });
    return;
  }
  if (!reserved.ok) fail(`stock answered ${reserved.status}`);
  to.mail.send({ order: order.id, text: "please pay" });

  // A commit point: the mail leaves now, and what fails from here on is retried from here on.
  const payment = await wait<Payment>("payment", { key: order.id, timeout: "2d" });

  if (payment === undefined) {
    log.info("not paid in time", { order: order.id });
    to.stock.send({ order: order.id, release: order.lines });
    to.mail.send({ order: order.id, text: "cancelled" });
    return;
  }
  to.billing.send({ order: order.id, paid: payment.json().amount });
  to.mail.send({ order: order.id, text: "thank you" }, { after: "1h" });
});
