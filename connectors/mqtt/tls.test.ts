import { mqttOutlet } from "./outlet.ts";
import { missing, mqttServer, started } from "../testing/servers.ts";
import { tlsCase } from "../testing/tls.case.ts";

tlsCase({
  name: "mosquitto",
  skip: missing("mosquitto"),
  outlet: mqttOutlet,
  open: (tls) =>
    started(
      mqttServer(async () => [
        "allow_anonymous true",
        `cafile ${tls}/ca.pem`,
        `certfile ${tls}/server.pem`,
        `keyfile ${tls}/server.key`,
        "require_certificate true",
      ]),
    ),
  config: (port) => ({ url: `mqtts://127.0.0.1:${port}`, topic: "x" }),
  code: "MF_MQTT_TLS",
});
