import { join } from "node:path";
import { natsOutlet } from "./outlet.ts";
import { missing, natsServer, started } from "../testing/servers.ts";
import { tlsCase } from "../testing/tls.case.ts";

tlsCase({
  name: "nats-server",
  skip: missing("nats-server"),
  outlet: natsOutlet,
  open: (tls) =>
    started(
      natsServer(
        "--tlsverify",
        "--tlscert",
        join(tls, "server.pem"),
        "--tlskey",
        join(tls, "server.key"),
        "--tlscacert",
        join(tls, "ca.pem"),
      ),
    ),
  config: (port) => ({ url: `tls://127.0.0.1:${port}`, subject: "x" }),
  code: "MF_NATS_TLS",
});
