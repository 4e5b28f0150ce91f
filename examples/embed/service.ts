/**
 * A shop's price service whose customers write their own discount rules. A rule is a stranger's code: it gets a cart, may ask what a customer
 * bought before, and gives a discount in per cent. Each price meets a machine that has never seen another cart.
 *
 *   PUT  /customers/:name/rule    the text of a function, checked and compiled at once
 *   POST /customers/:name/price   a cart, answered with its price
 */
import Fastify, { type FastifyInstance } from "fastify";
import { type EmbedError, type RunError, type SandboxedFunction, sandbox } from "mayfly/embed";

export interface Cart {
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly cents: number }[];
}

type Rule = SandboxedFunction<[cart: Cart, customer: string], number>;

const mostCustomers = 10_000;
const mostPercent = 30;

export interface Shop {
  /** Orders of a customer before. */
  readonly ordersOf: (customer: string) => Promise<number>;
}

function problem(error: unknown): { readonly code: string; readonly detail: string; readonly at?: RunError["at"] } {
  const { code = "ERROR", message, at } = error as EmbedError & Partial<RunError>;
  return at === undefined ? { code, detail: message } : { code, detail: message, at };
}

/** Strangers' results are data, and any data. */
function percentOf(given: unknown): number {
  const percent = typeof given === "number" && Number.isFinite(given) ? given : 0;
  return Math.min(mostPercent, Math.max(0, percent));
}

export function priceService({ ordersOf }: Shop): FastifyInstance {
  const app = Fastify({ bodyLimit: 256 * 1024 });
  const rules = new Map<string, Rule>();
  app.addContentTypeParser("text/plain", { parseAs: "string" }, (_request, text, done) => done(null, text));
  app.addHook("onClose", async () => void (await Promise.all([...rules.values()].map((rule) => rule.close()))));

  app.put<{ Params: { name: string }; Body: string }>("/customers/:name/rule", async ({ params: { name }, body }, reply) => {
    if (!rules.has(name) && rules.size >= mostCustomers) return reply.code(507).send({ code: "FULL" });
    try {
      const rule: Rule = await sandbox(body, {
        functions: { orders: (customer: unknown) => (customer === name ? ordersOf(name) : 0) },
        limits: { cpu: "20ms", memory: "16MiB", time: "5s" },
      });
      const before = rules.get(name);
      rules.set(name, rule);
      await before?.close(); // its calls end with MF_MONITOR_CLOSED
      return reply.code(201).send({ image: rule.hash });
    } catch (error) {
      return reply.code(422).send(problem(error));
    }
  });

  app.post<{ Params: { name: string }; Body: Cart }>("/customers/:name/price", async ({ params: { name }, body: cart }, reply) => {
    const cents = cart.lines.reduce((sum, { quantity, cents: each }) => sum + quantity * each, 0);
    const rule = rules.get(name);
    if (rule === undefined) return { cents };
    try {
      const percent = percentOf(await rule(cart, name));
      return { cents: Math.round(cents * (1 - percent / 100)), percent };
    } catch (error) {
      return reply.send({ cents, rule: problem(error) }); // a broken rule costs its customer the discount, and nobody else anything
    }
  });
  return app;
}
