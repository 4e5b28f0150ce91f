/** Rules of payouts. The options of the question are answers by themselves. */
import { explore } from "mayfly/explore";

export default explore({
  messages: [{ file: "../samples/large.json" }],
  invariants: {
    "paid at most once": ({ sends }) => sends.to("bank").length <= 1,
    "the requester is told the truth": ({ sends }) =>
      sends.to("requester").every((told) => (told.json().status === "paid") === sends.to("bank").length > 0),
    "the requester is told once": ({ ended, sends, messages }) =>
      !ended || sends.to("requester").length === messages.filter(({ status }) => status === "done").length,
  },
});
