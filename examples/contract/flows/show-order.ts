import { flow } from "mayfly";
import type { Operations, PlacedOrder } from "../shop.types.ts";

export default flow<Operations["getOrder"], "orders">(async (msg, { to, reply }) => {
  const answer = await to.orders.request(undefined, { method: "GET", path: `/${msg.parameters.path.id}` });
  if (answer.status === 404) return reply(undefined, { status: 404 });
  return answer.json<PlacedOrder>(); // what the order system says is checked against the contract as well
});
