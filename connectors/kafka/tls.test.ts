import { kafkaServer, noKafka } from "../testing/kafka-server.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { kafkaOutlet } from "./outlet.ts";

tlsCase({
  name: "kafka",
  skip: noKafka(),
  outlet: kafkaOutlet,
  open: async (certificates) => {
    const { broker, tlsPort } = await kafkaServer(certificates);
    return { port: tlsPort, remove: () => broker.remove() };
  },
  config: (port) => ({ brokers: [`127.0.0.1:${port}`], topic: "x", create: true, tls: {} }),
  code: "MF_KAFKA_TLS",
});
