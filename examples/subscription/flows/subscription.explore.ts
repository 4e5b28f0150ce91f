/** Rules of subscriptions, over three months. */
import { explore } from "mayfly/explore";

export default explore({
  messages: [{ json: { customer: "ada", cents: 900 } }],
  signals: [{ name: "cancelled", key: "ada" }],
  bounds: { turns: 2 },
  invariants: {
    "each month is billed once, in order": ({ sends }) => sends.to("billing").every((bill, index) => bill.json().month === index + 1),
    "nothing is billed after the good bye": ({ sends }) => sends.to("mail").length === 0 || sends.at(-1)?.outlet === "mail",
  },
});
