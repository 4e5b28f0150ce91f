/**
 * Where the gateway listens: the public port, and for operators a TCP port (`http.admin.port`) and a UNIX socket. The three have routes of
 * their own: what is served where is said by whoever adds them.
 */
import { type Clock, type CodedError, isCoded } from "#base";
import type { GatewayConfig } from "./contract/config.ts";
import type { JsonSchema } from "./contract/connector.ts";
import type { HttpRoutes } from "./contract/http/routes.ts";
import type { ReportUnexpected } from "./contract/unexpected.ts";
import { listenAtSocket } from "./http/admin-socket.ts";
import { ServedDocument } from "./http/document.ts";
import type { Access } from "./http/guard.ts";
import { originCheck } from "./http/origin.ts";
import { addPage } from "./http/page.ts";
import { HttpServer, type HttpServerPorts } from "./http/server.ts";
import type { RootLogger } from "./logger.ts";

export interface ListenerPorts {
  readonly clock: Clock;
  readonly logger: RootLogger;
  readonly unexpected: ReportUnexpected;
}

type Tls = GatewayConfig["http"]["tls"];
type AddEndpoints = (routes: HttpRoutes, access: Access) => void;

export class Listeners {
  readonly #config: Pick<GatewayConfig, "http" | "base" | "journal">;
  readonly #ports: ListenerPorts;
  readonly #public: HttpServer;
  readonly #document: ServedDocument;
  #tcp: HttpServer | undefined;
  #socket: HttpServer | undefined;
  #socketPath: string | undefined;
  #page = false;

  /** `http`, `base` and `journal` of the configuration count as they are now: they change only at a restart. */
  constructor(config: GatewayConfig, ports: ListenerPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#public = this.#server(config.http.tls);
    this.#document = new ServedDocument(this.#public.routes, config.http.openapi);
  }

  /** Serves a document of contracts from now on; undefined: none. */
  show(document: JsonSchema | undefined): void {
    try {
      this.#document.use(document);
    } catch (error) {
      if (!isCoded(error)) throw error; // a reload gave the path to a flow, and `http.openapi` changes only at a restart
      this.#ports.logger.error({ code: error.code }, `the document of the contracts is not served: ${error.message}`);
    }
  }

  /** Asked before a request of the public port is routed. */
  set gate(gate: HttpServer["gate"]) {
    this.#public.gate = gate;
  }

  /** Of the public port. */
  get routes(): HttpRoutes {
    return this.#public.routes;
  }

  get connections(): HttpServer["connections"] {
    return this.#public.connections;
  }

  get address(): HttpServer["address"] {
    return this.#public.address;
  }

  get admin(): { readonly socket: string | undefined; readonly address: HttpServer["address"]; readonly page: boolean } {
    return { socket: this.#socketPath, address: this.#tcp?.address, page: this.#page };
  }

  /** A gateway without its socket serves all the same: only the command line misses it. `page`: folder of the page. */
  async startAdmin(add: AddEndpoints, page: string | undefined): Promise<void> {
    const { admin, tls } = this.#config.http;
    if (!admin.enabled) return;
    if (admin.port !== undefined) {
      const admits = originCheck([admin.host, ...admin.hosts], tls === undefined ? "http" : "https");
      // An operator's browser is asked for no certificate.
      this.#tcp = this.#server(tls === undefined ? undefined : { ...tls, clientCa: undefined }, admits);
      add(this.#tcp.routes, { kind: "tcp", token: admin.token });
      if (page !== undefined) this.#page = addPage(this.#tcp.routes, page);
      await this.#tcp.listen(admin.host, admin.port);
    }
    const server = this.#server(undefined);
    add(server.routes, { kind: "socket" });
    try {
      this.#socketPath = await listenAtSocket(this.#config, (path) => server.listenAt(path));
      this.#socket = server;
    } catch (error) {
      const { code, message } = error as CodedError;
      this.#ports.logger.warn({ code }, message);
    }
  }

  /** Binds the public port. Until `routesAreThere` an unknown path is answered with 503. */
  async start(): Promise<void> {
    this.#public.routesAreThere = false;
    await this.#public.listen(this.#config.http.host, this.#config.http.port);
  }

  routesAreThere(): void {
    this.#public.routesAreThere = true;
  }

  /** No new connections; requests under way go on. */
  beginClose(): void {
    for (const server of [this.#public, this.#tcp, this.#socket]) server?.beginClose();
  }

  endClose(): void {
    for (const server of [this.#public, this.#tcp, this.#socket]) server?.endClose();
  }

  #server(tls: Tls, admits?: HttpServerPorts["admits"]): HttpServer {
    const { clock, logger, unexpected } = this.#ports;
    const { base, http } = this.#config;
    const { proxies, connectionsPerAddress } = http;
    return new HttpServer({ tls, proxies, admits, base, connectionsPerAddress, clock, logger, unexpected });
  }
}
