/** Questions to people, wired: links, the page behind them on the public port, and the endpoints for operators. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { Clock } from "#base";
import { addApprovalEndpoints, type AskedWait, type WaitAnswer, waitHere } from "./approvals/admin.ts";
import { Approvals } from "./approvals/approvals.ts";
import { addApprovals, type AskedPage, type Page, pageHere } from "./approvals/endpoint.ts";
import { approvalKey, hasApprovalKey, keyOfSecret } from "./approvals/key.ts";
import { Links } from "./approvals/links.ts";
import { ApprovalsElsewhere, type ApprovalsHere } from "./approvals-elsewhere.ts";
import type { Cluster } from "./contract/cluster.ts";
import type { GatewayConfig } from "./contract/config.ts";
import type { HttpRoutes } from "./contract/http/routes.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Flow, Runner } from "./contract/runner.ts";
import type { SleepDesk } from "./contract/sleep-desk.ts";
import type { Entropy } from "./delivery/seeds.ts";
import type { AskedQuestion, QuestionLinks } from "./delivery/sleep/questions.ts";
import type { Access } from "./http/guard.ts";
import type { Journal } from "./journal/journal.ts";
import { unknownFlow } from "./letter-retries.ts";
import type { RootLogger } from "./logger.ts";

export interface ApprovingPorts {
  /** `approvals`, `base` and `journal` count as they are now: they change only at a restart. */
  readonly config: Pick<GatewayConfig, "approvals" | "base" | "http" | "journal">;
  readonly journal: Journal;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly memory: GatewayMemory;
  readonly logger: RootLogger;
  readonly entropy: Entropy;
  readonly sleepers: Pick<SleepDesk, "signal">;
  readonly flows: ReadonlyMap<string, { flowAsleep(imageSha256: string): Promise<Flow> }>;
  /** Other nodes, where a question may be open. */
  readonly cluster: Cluster | undefined;
  /** Of the public port, once it listens. */
  readonly address: () => { readonly host: string; readonly port: number } | undefined;
}

export class Approving implements QuestionLinks, ApprovalsHere {
  readonly #ports: ApprovingPorts;
  readonly #approvals: Approvals;
  #links: Links | undefined;
  #routes: HttpRoutes | undefined;

  constructor(ports: ApprovingPorts) {
    this.#ports = ports;
    this.#approvals = new Approvals({
      ...ports,
      signal: (signal) => ports.sleepers.signal(signal),
      flowAsleep: async (flow, imageSha256) => {
        const served = ports.flows.get(flow);
        if (served === undefined) throw unknownFlow(flow, ports.flows.keys());
        return served.flowAsleep(imageSha256);
      },
    });
  }

  /**
   * Called once the journal is there, before flows run. The page is there from now on where mayfly.yaml has `approvals`, or where links were
   * made before; else from the first question on: a gateway that asks nobody serves no page. Throws MF_APPROVAL_KEY.
   */
  start(routes: HttpRoutes): void {
    this.#routes = routes;
    if (this.#ports.config.approvals !== undefined || hasApprovalKey(this.#folder)) this.#open(routes);
  }

  get #folder(): string | undefined {
    const { base, journal } = this.#ports.config;
    return journal.dir === undefined ? undefined : resolve(base, journal.dir);
  }

  #open(routes: HttpRoutes): Links {
    const { config, entropy } = this.#ports;
    const secret = config.approvals?.key;
    const links = new Links(() => this.#url, secret === undefined ? approvalKey(this.#folder, entropy) : keyOfSecret(secret));
    this.#links = links;
    const elsewhere = this.#elsewhere;
    addApprovals(routes, { ...this.#pagePorts(links), elsewhere: elsewhere && ((asked) => elsewhere.page(asked)) });
    return links;
  }

  #pagePorts(links: Links): Parameters<typeof pageHere>[0] {
    return { ...this.#ports, links, approvals: this.#approvals, now: () => this.#ports.clock.now() };
  }

  get #elsewhere(): ApprovalsElsewhere | undefined {
    const { cluster } = this.#ports;
    return cluster === undefined ? undefined : new ApprovalsElsewhere(cluster);
  }

  wait(asked: AskedWait): Promise<WaitAnswer | undefined> {
    return waitHere(this.#approvals, asked);
  }

  async page(asked: AskedPage): Promise<Page | undefined> {
    return this.#links === undefined ? undefined : await pageHere(this.#pagePorts(this.#links), asked);
  }

  /** Of the public port, as people reach it: what mayfly.yaml says, or else where it listens. */
  get #url(): string | undefined {
    const { approvals, http } = this.#ports.config;
    if (approvals !== undefined) return approvals.url;
    const { host, port } = this.#ports.address() ?? {};
    if (host === undefined || port === undefined) return undefined;
    const name = host === "0.0.0.0" || host === "::" ? hostname() : host.includes(":") ? `[${host}]` : host;
    return `${http.tls === undefined ? "http" : "https"}://${name}:${port}`;
  }

  addEndpoints(routes: HttpRoutes, access: Access): void {
    const elsewhere = this.#elsewhere;
    const ports = {
      approvals: this.#approvals,
      memory: this.#ports.memory,
      elsewhere: elsewhere && ((asked: AskedWait) => elsewhere.wait(asked)),
    };
    addApprovalEndpoints(routes, ports, access);
  }

  /** Undefined in a cluster whose mayfly.yaml has no `approvals`. Throws MF_APPROVAL_KEY, or MF_ROUTE_TAKEN where a flow has the path. */
  linkTo(asked: AskedQuestion): string | undefined {
    if (this.#links === undefined && this.#ports.cluster !== undefined) return undefined;
    if (this.#links === undefined && this.#routes !== undefined) {
      this.#open(this.#routes);
      this.#ports.logger.warn(
        { url: this.#url },
        "links to questions lead to where this gateway listens: set approvals.url in mayfly.yaml to where people reach it",
      );
    }
    return this.#links?.linkTo(asked);
  }
}
