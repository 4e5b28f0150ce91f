/** Questions to people, wired: links, the page behind them on the public port, and the endpoints for operators. */
import { resolve } from "node:path";
import type { Clock } from "#base";
import { addApprovalEndpoints } from "./approvals/admin.ts";
import { Approvals } from "./approvals/approvals.ts";
import { addApprovals } from "./approvals/endpoint.ts";
import { approvalKey } from "./approvals/key.ts";
import { Links } from "./approvals/links.ts";
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
  readonly config: Pick<GatewayConfig, "approvals" | "base" | "journal">;
  readonly journal: Journal;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly memory: GatewayMemory;
  readonly logger: RootLogger;
  readonly entropy: Entropy;
  readonly sleepers: Pick<SleepDesk, "signal">;
  readonly flows: ReadonlyMap<string, { flowAsleep(imageSha256: string): Promise<Flow> }>;
}

export class Approving implements QuestionLinks {
  readonly #ports: ApprovingPorts;
  readonly #approvals: Approvals;
  #links: Links | undefined;

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

  /** Called once the journal is there, before flows run. Throws MF_APPROVAL_KEY. */
  start(routes: HttpRoutes): void {
    const { approvals: settings, base, journal } = this.#ports.config;
    if (settings === undefined) return;
    const folder = journal.dir === undefined ? undefined : resolve(base, journal.dir);
    const links = (this.#links = new Links(settings.url, approvalKey(folder, this.#ports.entropy)));
    addApprovals(routes, { ...this.#ports, links, approvals: this.#approvals, now: () => this.#ports.clock.now() });
  }

  addEndpoints(routes: HttpRoutes, access: Access): void {
    addApprovalEndpoints(routes, { approvals: this.#approvals, memory: this.#ports.memory }, access);
  }

  linkTo(asked: AskedQuestion): string | undefined {
    return this.#links?.linkTo(asked);
  }
}
