/** The saga example under three orders that are paid, and two of each disturbance: a space that no run of the bench gets to the end of. */
import { explore } from "mayfly/explore";
import { exploration } from "../../examples/saga/flows/saga.explore.ts";

const ids = ["4711", "4712", "4713"];

export default explore({
  ...exploration,
  flow: "../../examples/saga/flows/saga.ts",
  messages: ids.map((id) => ({ json: { id, lines: [{ sku: "DESK-4", qty: 1 }] }, key: id })),
  signals: ids.map((key) => ({ name: "payment", key, json: { amount: 120 } })),
  invariants: {
    "no order billed twice": ({ sends }) => {
      const billed = sends.to("billing").map((deed) => deed.json().order as string);
      return new Set(billed).size === billed.length;
    },
  },
  bounds: { crashes: 2, errors: 2, duplicates: 2, delays: 2 },
});
