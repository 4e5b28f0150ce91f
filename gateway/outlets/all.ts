/** Every outlet there is, in the order of the documentation. */
import { amqpOutlet } from "./amqp.ts";
import { fileOutlet } from "./file.ts";
import { flowOutlet } from "./flow.ts";
import { httpOutlet } from "./http.ts";
import { jetstreamOutlet } from "./jetstream.ts";
import { logOutlet } from "./log.ts";
import { mqttOutlet } from "./mqtt.ts";
import { natsOutlet } from "./nats.ts";
import { postgresOutlet } from "./postgres.ts";
import { redisOutlet } from "./redis.ts";
import { smtpOutlet } from "./smtp.ts";
import type { OutletDefinition } from "./outlet.ts";

export const outlets: readonly OutletDefinition[] = [
  httpOutlet,
  fileOutlet,
  logOutlet,
  flowOutlet,
  amqpOutlet,
  jetstreamOutlet,
  natsOutlet,
  mqttOutlet,
  redisOutlet,
  postgresOutlet,
  smtpOutlet,
];
