// `npm start`: sets up, serves examples/orders with an ERP and a sales system of its own, shows three requests and what became of
// each, then keeps serving: until Ctrl-C at a terminal, or without one until a minute has passed with no request. With --once, and in
// CI, it ends after showing.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

await setUp();
const { serve } = await import("../dist/cli/mod.js");
const { createLogger } = await import("../dist/gateway/mod.js");

const once = process.argv.includes("--once") || process.env.CI !== undefined;
const attended = process.stdin.isTTY === true;
const mostIdleMs = 60_000;
const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = (text) => paint(1, text);
const dim = (text) => paint(2, text);
const say = (text = "") => console.log(text);

/** The ERP the flow asks, and the sales system big orders go to: what comes in is kept for showing. */
function startPeers(seen) {
  const server = createServer((request, response) => {
    let body = "";
    request
      .on("data", (part) => (body += part))
      .on("end", () => {
        seen.push({ to: request.url === "/erp" ? "erp ⇄" : "→ bigOrders", body });
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(request.url === "/erp" ? { orderNumber: `A-${1000 + Number(JSON.parse(body).id)}` } : {}));
      });
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

/** Keeps what is logged for showing; passes it on only once everything was shown. */
function listeningLogger(log, inner) {
  const hear = (level) => (fields, text) => {
    log.lines.push({ level, text, fields: fields.fields });
    if (log.loud) inner[level](fields, text);
  };
  const levels = Object.fromEntries(["debug", "info", "warn", "error"].map((level) => [level, hear(level)]));
  return { ...levels, child: (fields) => listeningLogger(log, inner.child(fields)) };
}

const order = (id, lines) => ({ id, customer: { name: "Ada" }, lines });
const tries = [
  { what: "a small order", body: JSON.stringify(order(7, [{ sku: "PEN-1", qty: 3, price: 2.5 }])) },
  { what: "a big order: it goes to sales as well", body: JSON.stringify(order(8, [{ sku: "DESK-4", qty: 2, price: 640 }])) },
  { what: "not an order: refused, and everybody else unharmed", body: '{"id": 9, "lines": oops}' },
];

const seen = [];
const log = { lines: [], loud: false };
const folder = mkdtempSync(join(tmpdir(), "mayfly-start-"));
const auditFolder = join(folder, "audit");
cpSync(join(root, "examples", "orders"), folder, { recursive: true, filter: (path) => !path.includes(".mayfly") });
const token = randomBytes(9).toString("base64url");
appendFileSync(join(folder, "mayfly.yaml"), `\nhttp: { admin: { port: 0, token: "\${PAGE_TOKEN}" } }\n`);
const peers = await startPeers(seen);

async function serveOrders() {
  const peerUrl = `http://127.0.0.1:${peers.address().port}`;
  const inner = createLogger({ log: { level: "info", format: "auto" }, terminal: process.stdout.isTTY === true });
  const options = {
    file: join(folder, "mayfly.yaml"),
    environment: { ...process.env, ERP_URL: `${peerUrl}/erp`, SALES_URL: `${peerUrl}/sales`, PAGE_TOKEN: token },
    logger: listeningLogger(log, inner),
  };
  try {
    return await serve(options);
  } catch (error) {
    if (!/in use|EADDRINUSE|PORT/.test(`${error.code} ${error.message}`)) throw error;
    return await serve({ ...options, port: 0 }); // 8080 is taken: any other will do
  }
}

/** Lines of the audit file, in order. */
function auditLines() {
  if (!existsSync(auditFolder)) return [];
  return readdirSync(auditFolder).flatMap((file) => readFileSync(join(auditFolder, file), "utf8").trim().split("\n"));
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Sends one request as the curl line says, and shows what became of it. */
async function show(url, { what, body }) {
  say(`${bold(what)}`);
  say(`  curl -s ${url} -H 'content-type: application/json' -d '${body}'`);
  const before = [log.lines.length, seen.length, auditLines().length];
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const reply = await response.text();
  await pause(150); // sends leave after the reply
  const row = (label, text) => say(`  ${dim(label.padEnd(11))} ${text}`);
  row("reply", `${response.status} ${reply}`);
  for (const { level, text, fields } of log.lines.slice(before[0]))
    if (level !== "debug") row("log", `${level} ${text}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}`);
  for (const { to, body: sent } of seen.slice(before[1])) row(to, sent);
  for (const line of auditLines().slice(before[2])) row("→ audit", line);
  say();
}

let serving;
let ending = false;
async function end(code) {
  if (ending) process.exit(code);
  ending = true;
  await serving?.stop();
  peers.closeAllConnections();
  peers.close();
  rmSync(folder, { recursive: true, force: true });
  process.exitCode = code;
}

/** Every request logs at least one line, if only for debugging. */
function endWhenIdle() {
  let [lines, sinceMs] = [log.lines.length, Date.now()];
  const watch = setInterval(() => {
    if (log.lines.length !== lines) [lines, sinceMs] = [log.lines.length, Date.now()];
    else if (Date.now() - sinceMs < mostIdleMs) return;
    else {
      clearInterval(watch);
      void end(0);
    }
  }, 1000);
  watch.unref();
}

process.stdout.on("error", () => process.exit(0)); // `npm start | head`: seen enough
process.on("SIGINT", () => void end(0)).on("SIGTERM", () => void end(0));
try {
  serving = await serveOrders();
  const url = `${serving.url}/orders`;
  say(`${bold("Mayfly")} serves examples/orders at ${url}: every request meets a machine that has never seen another one.\n`);
  for (const each of tries) await show(url, each);
  if (once) await end(0);
  else {
    log.loud = true;
    say(
      `The page, with these three messages and their lives: ${bold(`http://127.0.0.1:${serving.gateway.admin.address.port}/`)}  token: ${bold(token)}\n`,
    );
    if (!attended) endWhenIdle();
    say(
      `Try them yourself. ${attended ? "Ctrl-C ends" : "Ends after a minute without a request"}. The flow: ${join("examples", "orders", "flows", "orders.ts")}. Your own: npx mayfly init hello`,
    );
  }
} catch (error) {
  console.error(`${error.code ?? "MF_START"}: ${error.message}`);
  if (process.env.MAYFLY_DEBUG === "1") console.error(error.stack);
  await end(2);
}
