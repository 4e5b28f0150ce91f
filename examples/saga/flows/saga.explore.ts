/** Events that an order may meet, and rules that hold whatever happens: `mayfly explore flows/saga.ts`. */
import { explore, type Exploration } from "mayfly/explore";

const order = { id: "4711", lines: [{ sku: "DESK-4", qty: 1 }] };

export const exploration: Exploration = {
  messages: [{ json: order }],
  signals: [{ name: "payment", key: "4711", json: { amount: 120 } }],
  answers: { stock: [{ json: { reserved: true } }, { status: 409 }] },
  invariants: {
    "never billed twice": ({ sends }) => sends.to("billing").length <= 1,
    "released or billed, never both": ({ sends, requests }) => {
      const released = [...sends.to("stock"), ...requests.to("stock")].some((deed) => deed.json().release !== undefined);
      return !(released && sends.to("billing").length > 0);
    },
    "what was reserved is billed or released, unless the order is a dead letter": ({ ended, attempts, sends, requests, messages }) => {
      if (!ended || messages.some(({ status }) => status === "dead")) return true;
      const said = sends.to("mail").map((mail) => mail.json().text as string);
      const released = [...sends.to("stock"), ...requests.to("stock")].some((deed) => deed.json().release !== undefined);
      return attempts.length === 0 || released || said.includes("sold out") || sends.to("billing").length > 0;
    },
  },
};

export default explore(exploration);
