/** Every connector there is, in the order of the documentation. A new one is a folder, and its line here. */
import type { Connector, Connectors } from "#gateway/contract";
import { amqp } from "./amqp/mod.ts";
import { amqp1 } from "./amqp1/mod.ts";
import { cron } from "./cron/mod.ts";
import { direct } from "./direct/mod.ts";
import { file } from "./file/mod.ts";
import { flow } from "./flow/mod.ts";
import { ftp } from "./ftp/mod.ts";
import { grpc } from "./grpc/mod.ts";
import { http } from "./http/mod.ts";
import { contractsDocument, openApiDocument } from "./http/openapi/document.ts";
import { imap } from "./imap/mod.ts";
import { jetstream } from "./jetstream/mod.ts";
import { kafka } from "./kafka/mod.ts";
import { log } from "./log/mod.ts";
import { mqtt } from "./mqtt/mod.ts";
import { mysql } from "./mysql/mod.ts";
import { nats } from "./nats/mod.ts";
import { postgres } from "./postgres/mod.ts";
import { redis } from "./redis/mod.ts";
import { s3 } from "./s3/mod.ts";
import { sftp } from "./sftp/mod.ts";
import { signal } from "./signal/mod.ts";
import { smtp } from "./smtp/mod.ts";
import { sse } from "./sse/mod.ts";
import { websocket } from "./websocket/mod.ts";

const all: readonly Connector[] = [
  http,
  grpc,
  sse,
  websocket,
  file,
  sftp,
  ftp,
  s3,
  log,
  cron,
  direct,
  flow,
  signal,
  kafka,
  amqp,
  amqp1,
  jetstream,
  nats,
  mqtt,
  redis,
  postgres,
  mysql,
  imap,
  smtp,
];

export { contractTypes } from "./http/contract/types.ts";
export { openApiDocument };

export const connectors: Connectors = {
  sources: all.flatMap(({ source }) => source ?? []),
  outlets: all.flatMap(({ outlet }) => outlet ?? []),
  describe: contractsDocument,
};
