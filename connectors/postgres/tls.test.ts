import { after } from "node:test";
import { postgresOutlet } from "./outlet.ts";
import type { PrivateBroker } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { TlsFront } from "../testing/tls-front.ts";
import { tlsCase } from "../testing/tls.case.ts";

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

tlsCase({
  name: "postgresql behind TLS",
  skip: typeof postgres === "string" ? postgres : undefined,
  outlet: postgresOutlet,
  open: (tls) => TlsFront.open(postgres as PrivateBroker, tls, true),
  config: (port) => ({ url: `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=require`, sql: "select 1" }),
  code: "MF_POSTGRES_TLS",
});
