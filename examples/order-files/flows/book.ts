import { fail, flow } from "mayfly";

/** A record in, a row out; or a dead letter that says what is wrong with the order. */
export default flow<"ledger">((msg, { to }) => {
  const { number, customer, amount } = msg.json<{ number: string; customer: string; amount: string }>();
  const parts = /^(\d{1,9})\.(\d{2})$/.exec(amount);
  if (parts === null)
    fail(`order ${number}: ${JSON.stringify(amount)} is not an amount such as 19.90`, { code: "ORDER_INVALID", retry: false });
  to.ledger.send({ number, customer, cents: Number(parts[1]) * 100 + Number(parts[2]) }, { key: customer });
});
