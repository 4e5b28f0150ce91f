import { fail, flow } from "mayfly";

interface Product {
  sku: string;
  name: string;
  price: number;
}

/** Asks for the catalogue, tells what has changed since the last time. What is known is kept in `state`, with the same commit as the sends. */
export default flow<"catalogue" | "changes">(async (_msg, { to, state, log }) => {
  const etag = state.get<string>("etag");
  const answer = await to.catalogue.request(undefined, { method: "GET", headers: { "if-none-match": etag } });
  if (answer.status === 304) return;
  if (!answer.ok) fail(`the catalogue answered ${answer.status}`, { code: "CATALOGUE_FAILED" });

  const before = state.get<Record<string, Product>>("products") ?? {};
  const products = Object.fromEntries(answer.json<Product[]>().map((product) => [product.sku, product]));
  let changes = 0;
  const tell = (change: "added" | "changed" | "removed", product: Product): void => {
    changes += 1;
    to.changes.send({ change, product }, { key: product.sku });
  };
  for (const [sku, product] of Object.entries(products)) {
    const known = before[sku];
    if (known === undefined) tell("added", product);
    else if (known.name !== product.name || known.price !== product.price) tell("changed", product);
  }
  for (const [sku, product] of Object.entries(before)) if (products[sku] === undefined) tell("removed", product);

  state.set("products", products);
  if (answer.headers["etag"] === undefined) state.delete("etag");
  else state.set("etag", answer.headers["etag"]);
  log.info("catalogue read", { products: Object.keys(products).length, changes });
});
