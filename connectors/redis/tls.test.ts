import { join } from "node:path";
import { redisOutlet } from "./outlet.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { missing } from "../testing/servers.ts";
import { tlsCase } from "../testing/tls.case.ts";

tlsCase({
  name: "redis-server",
  skip: missing("redis-server"),
  outlet: redisOutlet,
  open: (tls) =>
    PrivateBroker.start((dir, port) => [
      "redis-server",
      "--bind",
      "127.0.0.1",
      "--port",
      "0",
      "--tls-port",
      String(port),
      "--dir",
      dir,
      "--save",
      "",
      "--tls-cert-file",
      join(tls, "server.pem"),
      "--tls-key-file",
      join(tls, "server.key"),
      "--tls-ca-cert-file",
      join(tls, "ca.pem"),
    ]),
  config: (port) => ({ url: `rediss://127.0.0.1:${port}`, stream: "x" }),
  code: "MF_REDIS_TLS",
});
