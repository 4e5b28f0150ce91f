/** A shop with four flows and the systems around it, for the page's tests and pictures: real traffic, with failures of every kind. */
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

export const token = "shop-admin";

const orders = `import { flow, fail } from "mayfly";

interface Order { id: string; customer: { id: string; name: string; address?: string }; lines: { sku: string; qty: number; price: number }[] }

export default flow<"erp" | "audit" | "bigOrders" | "invoices">(async (msg, { to, log, state }) => {
  const order = msg.json<Order>();
  const total = Math.round(order.lines.reduce((sum, line) => sum + line.qty * line.price, 0) * 100) / 100;
  log.info("order received", { order: order.id, customer: order.customer.name, total });
  if (order.lines.length === 0) fail("an order needs a line", { code: "ORDER_EMPTY", retry: false, status: 422 });
  const answer = await to.erp.request({ id: order.id, total });
  if (!answer.ok) fail("the ERP refused order " + order.id, { code: "ERP_REFUSED", retry: false, status: 502 });
  const erp = answer.json<{ orderNumber: string }>();
  state.set("orders", Number(state.get("orders") ?? 0) + 1);
  state.set("lastOrder", erp.orderNumber);
  if (total > 1000) {
    log.warn("big order: sales is told", { total });
    to.bigOrders.send({ ...order, total });
  }
  for (const line of order.lines) to.audit.send(line, { key: line.sku });
  to.invoices.send({ number: erp.orderNumber, customer: order.customer, total }, { key: order.customer.id });
  return { status: "accepted", orderNumber: erp.orderNumber, total };
});
`;

const invoices = `import { flow, fail } from "mayfly";

export default flow<"bank">((msg, { to, log }) => {
  const { number, customer, total } = msg.json<{ number: string; customer: { name: string; address?: string }; total: number }>();
  if (customer.address === undefined) fail("no address for " + customer.name, { code: "INVOICE_ADDRESS", retry: false });
  const xml = "<invoice number=\\"" + number + "\\"><customer><name>" + customer.name + "</name><address>" + customer.address + "</address></customer><total currency=\\"EUR\\">" + total.toFixed(2) + "</total></invoice>";
  log.info("invoice written", { number });
  to.bank.send(xml, { contentType: "application/xml", key: customer.name });
});
`;

const stock = `import { flow } from "mayfly";

export default flow<"warehouse">((msg, { to, log }) => {
  const rows = msg.csv<{ sku: string; qty: string }>();
  log.info("stock counted", { rows: rows.length });
  to.warehouse.send(rows.map(({ sku, qty }) => ({ sku, qty: Number(qty) })));
});
`;

const mails = `import { flow } from "mayfly";

export default flow(async (msg) => {
  const { to, attempts = 1 } = msg.json<{ to: string; attempts?: number }>();
  if (msg.attempt < attempts) throw new Error("the mail server is busy: try " + to + " again");
  return { sent: to };
});
`;

const refunds = `import { flow } from "mayfly";

export default flow<"cashier" | "clerks">(async (msg, { to, approve, wait, log }) => {
  const { order, customer, cents } = msg.json<{ order: string; customer: string; cents: number }>();
  log.info("refund asked for", { order, customer });
  const answer = await approve("Refund " + (cents / 100).toFixed(2) + " € to " + customer + "?", { options: ["refund", "reject"], to: "clerks", timeout: "2d" });
  if (answer !== "refund") return;
  to.cashier.send({ refund: order, cents });
  const parcel = await wait<{ state: string }>("parcel", { key: order, timeout: "14d" });
  log.info("the parcel is back", { state: parcel?.json().state ?? "lost" });
});
`;

const yaml = (peers: string): string => `http: { port: 0, admin: { port: 0, token: ${token} } }
journal: { dir: journal }
deadLetters: { dir: dead }
functions: {}
drain: 2s
approvals: { url: "https://shop.example" }
flows:
  orders:
    flow: flows/orders.ts
    key: json:/customer/id
    from: [ { http: { path: /orders } } ]
    retry: { attempts: 3, backoff: 20ms..50ms }
    to:
      erp: { http: { url: "${peers}/erp" } }
      bigOrders: { http: { url: "${peers}/sales" } }
      audit: { file: { dir: audit, name: "{date}.jsonl", append: true } }
      invoices: { flow: { name: invoices } }
  invoices:
    flow: flows/invoices.ts
    retry: { attempts: 1 }
    to: { bank: { http: { url: "${peers}/bank" }, retry: { attempts: 2, backoff: 20ms..50ms } } }
  stock:
    flow: flows/stock.ts
    from: [ { http: { path: /stock, mode: accept } } ]
    to: { warehouse: { http: { url: "${peers}/warehouse" }, retry: { attempts: 20, backoff: 1s..5s }, breaker: { failures: 3, pause: 10m } } }
  refunds:
    flow: flows/refunds.ts
    key: json:/order
    from: [ { http: { path: /refunds, mode: accept } } ]
    to: { cashier: { http: { url: "${peers}/cashier" } }, clerks: { http: { url: "${peers}/clerks" } } }
  mails:
    flow: flows/mails.ts
    from: [ { http: { path: /mails, mode: accept } } ]
    retry: { attempts: 3, backoff: 20ms..60ms }
`;

const people = [
  "Ada Lovelace",
  "Grace Hopper",
  "Edsger Dijkstra",
  "Barbara Liskov",
  "Niklaus Wirth",
  "Frances Allen",
  "Tony Hoare",
  "Radia Perlman",
];
const goods = [
  ["PEN-1", 2.5],
  ["DESK-4", 640],
  ["LAMP-2", 38.9],
  ["CHAIR-7", 219],
  ["INK-3", 6.2],
] as const;

export function order(number: number): object {
  const name = people[number % people.length] as string;
  const lines = Array.from({ length: 1 + (number % 3) }, (_, index) => {
    const [sku, price] = goods[(number + index * 2) % goods.length] as (typeof goods)[number];
    return { sku, qty: 1 + ((number + index) % 4), price };
  });
  const address = number % 9 === 4 ? {} : { address: `${1 + (number % 40)} Analytical Row` };
  return { id: String(4700 + number), customer: { id: `C-${100 + (number % people.length)}`, name, ...address }, lines };
}

export interface Shop {
  readonly serving: Serving;
  readonly folder: string;
  /** Of the admin listener, where the page is. */
  readonly page: string;
  /** Questions that the clerks were sent, with the paths of their links. */
  readonly questions: ReadonlyMap<string, string>;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Orders, stock lists and mails with their numbers, one after the other. */
  traffic(from: number, count: number): Promise<void>;
  close(): Promise<void>;
}

/** The ERP, the bank, sales and a warehouse that is down. */
async function startPeers(questions: Map<string, string>): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer((request, response) => {
    let body = "";
    request
      .on("data", (part: Buffer) => (body += part.toString()))
      .on("end", () => {
        const answer = (status: number, value: object): void => {
          response.writeHead(status, { "content-type": "application/json" });
          response.end(JSON.stringify(value));
        };
        if (request.url === "/warehouse") return answer(503, { error: "the warehouse is closed for inventory" });
        if (request.url === "/clerks") {
          const { question, link } = JSON.parse(body) as { question: string; link: string };
          questions.set(question, new URL(link).pathname);
        }
        if (request.url !== "/erp") return answer(200, {});
        const { id } = JSON.parse(body) as { id: string };
        return id.endsWith("13") ? answer(409, { error: "unknown article" }) : answer(200, { orderNumber: `A-${id}` });
      });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

export async function openShop(): Promise<Shop> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-shop-"));
  const questions = new Map<string, string>();
  const peers = await startPeers(questions);
  const files = {
    "package.json": "{}",
    "flows/orders.ts": orders,
    "flows/invoices.ts": invoices,
    "flows/stock.ts": stock,
    "flows/mails.ts": mails,
    "flows/refunds.ts": refunds,
  };
  for (const [name, text] of Object.entries({ ...files, "mayfly.yaml": yaml(peers.url) })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const closePeers = async (): Promise<void> => {
    peers.server.closeAllConnections();
    peers.server.close();
    await rm(folder, { recursive: true, force: true });
  };
  let serving: Serving;
  try {
    serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
  } catch (error) {
    await closePeers();
    throw error;
  }
  const { url } = serving;
  const post: Shop["post"] = (path, body, headers = {}) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const contentType = typeof body === "string" ? "text/csv" : "application/json";
    return fetch(`${url}${path}`, { method: "POST", body: text, headers: { "content-type": contentType, ...headers } });
  };
  return {
    serving,
    folder,
    questions,
    page: `http://127.0.0.1:${serving.gateway.admin.address?.port}/`,
    post,
    traffic: async (from, count) => {
      for (let number = from; number < from + count; number += 1) {
        await post("/orders", order(number), { "x-channel": number % 2 === 0 ? "web" : "app" });
        if (number % 6 === 0) await post("/stock", `sku,qty\nPEN-1,${number}\nDESK-4,${number % 7}\n`);
        if (number % 5 === 0) await post("/mails", { to: `customer${number}@shop.example`, attempts: number % 10 === 0 ? 9 : 2 });
        if (number % 17 === 0) await post("/orders", { id: String(9000 + number), customer: { id: "C-1", name: "Nobody" }, lines: [] });
      }
    },
    close: async () => {
      await serving.stop();
      await closePeers();
    },
  };
}
