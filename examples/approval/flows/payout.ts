/** A payout: small ones are paid, larger ones need somebody's word. */
import { flow } from "mayfly";

interface Payout {
  readonly id: string;
  readonly payee: string;
  readonly cents: number;
}

export default flow<"bank" | "finance" | "requester">(async (msg, { to, approve, log }) => {
  const payout = msg.json<Payout>();
  if (payout.cents > 10_000) {
    const answer = await approve(`Pay ${(payout.cents / 100).toFixed(2)} € to ${payout.payee}?`, {
      options: ["pay", "reject"],
      to: "finance",
      timeout: "2d",
    });
    if (answer !== "pay") {
      log.info("not paid", { id: payout.id, answer });
      to.requester.send({ id: payout.id, status: answer === undefined ? "nobody has answered" : "rejected" });
      return;
    }
  }
  to.bank.send({ payee: payout.payee, cents: payout.cents, reference: payout.id });
  to.requester.send({ id: payout.id, status: "paid" });
});
