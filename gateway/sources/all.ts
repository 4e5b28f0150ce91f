/** Every source there is, in the order of the documentation. */
import { amqpSource } from "./amqp.ts";
import { cronSource } from "./cron.ts";
import { directSource } from "./direct.ts";
import { fileSource } from "./file.ts";
import { flowSource } from "./flow.ts";
import { httpSource } from "./http.ts";
import { jetstreamSource } from "./jetstream.ts";
import { mqttSource } from "./mqtt.ts";
import { natsSource } from "./nats.ts";
import { postgresSource } from "./postgres.ts";
import { redisSource } from "./redis.ts";
import type { SourceDefinition } from "./source.ts";

export const sources: readonly SourceDefinition[] = [
  httpSource,
  fileSource,
  cronSource,
  directSource,
  flowSource,
  amqpSource,
  jetstreamSource,
  natsSource,
  mqttSource,
  redisSource,
  postgresSource,
];
