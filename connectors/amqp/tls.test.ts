import { amqpOutlet } from "./outlet.ts";
import { noRabbit, rabbit } from "../testing/servers.ts";
import { TlsFront } from "../testing/tls-front.ts";
import { tlsCase } from "../testing/tls.case.ts";

tlsCase({
  name: "rabbitmq-server behind TLS",
  skip: await noRabbit(),
  outlet: amqpOutlet,
  open: (tls) => TlsFront.open(rabbit, tls, false),
  config: (port) => ({ url: `amqps://guest:guest@127.0.0.1:${port}`, exchange: "amq.topic", routingKey: "x", mandatory: false }),
  code: "MF_AMQP_TLS",
});
