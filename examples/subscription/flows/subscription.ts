/** A subscription that lives for years: a bill each month until it is cancelled. Each month is a machine of its own, of the newest image. */
import { flow } from "mayfly";

interface Subscription {
  readonly customer: string;
  readonly cents: number;
  /** From 1. */
  readonly month?: number;
}

export default flow<"billing" | "mail">(async (msg, { to, wait, continueAs }) => {
  const { customer, cents, month = 1 } = msg.json<Subscription>();
  to.billing.send({ customer, cents, month }, { key: customer });
  const cancelled = await wait("cancelled", { key: customer, timeout: "30d" });
  if (cancelled === undefined) continueAs({ customer, cents, month: month + 1 });
  else to.mail.send({ customer, text: "good bye", months: month });
});
