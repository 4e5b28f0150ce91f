/** A PostgreSQL cluster of our own: SIGINT ends its sessions, SIGQUIT is a crash it recovers from. */
import pg from "pg";
import { privatePostgres } from "../../../connectors/testing/postgres-server.ts";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import type { Probe } from "../message.ts";
import { available, Lazy, poll, type Site, type Transport } from "./transport.ts";

const tableSql = (name: string): string => `create table ${name} (
  id bigint generated always as identity primary key, message_id text unique, key text, content_type text, correlation_id text,
  headers jsonb not null default '{}', body bytea not null, created_at timestamptz not null default now(), attempts integer not null default 0,
  claimed_by text, claimed_until timestamptz, done_at timestamptz, error text)`;

export async function postgresTransport({ receive }: Site): Promise<Transport> {
  const broker = await available(privatePostgres());
  const proxy = await Proxy.open(broker);
  const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`;
  const open = async (): Promise<pg.Pool> => {
    const connection = { host: "127.0.0.1", port: broker.port, user: "postgres", database: "postgres", connectionTimeoutMillis: 2_000 };
    const pool = new pg.Pool({ ...connection, query_timeout: 5_000, max: 4 });
    pool.on("error", () => undefined); // an idle connection was lost: the next query makes another
    return pool;
  };
  const close = (pool: pg.Pool): Promise<void> => pool.end();
  const [client, reader] = [new Lazy(open, close), new Lazy(open, close)];
  await client.use(async (sql) => void (await sql.query(`${tableSql("inbox")}; ${tableSql("outbox")}`)));
  const insert = `insert into inbox (message_id, content_type, body) values ($1, 'application/json', $2) on conflict (message_id) do nothing`;
  const send = ({ id, body }: Probe): Promise<void> => client.use(async (sql) => void (await sql.query(insert, [id, Buffer.from(body)])));
  const stop = poll(readTable(reader, receive));
  return {
    name: "postgres",
    lanes: [
      {
        name: "postgres",
        ordered: false, // rows of a gateway that died come again when their lease is over, behind later ones
        lossy: false,
        waits: false,
        from: { postgres: { url, table: "inbox", poll: "100ms", lease: "2s", prefetch: 64, heartbeat: "1s" } },
        out: { postgres: { url, table: "outbox", heartbeat: "1s" } },
        send,
      },
    ],
    proxy,
    broker,
    stops: ["SIGINT", "SIGQUIT"],
    async close() {
      await stop();
      await client.close();
      await reader.close();
      await proxy.close();
      await broker.down("SIGQUIT");
      await broker.remove();
    },
  };
}

/** Reads, then deletes: a crash in between shows rows again, which their ids tell apart from a second send. */
function readTable(reader: Lazy<pg.Pool>, receive: (text: string, key: string) => void): () => Promise<boolean> {
  const seen = new Set<string>();
  return () =>
    reader.use(async (sql) => {
      const { rows } = await sql.query<{ id: string; message_id: string; body: Buffer }>(
        "select id::text, message_id, body from outbox order by outbox.id limit 200",
      );
      for (const { id, message_id, body } of rows) {
        if (seen.has(id)) continue;
        seen.add(id);
        receive(body.toString(), message_id);
      }
      if (rows.length > 0) await sql.query("delete from outbox where id = any($1::bigint[])", [rows.map(({ id }) => id)]);
      return rows.length > 0;
    });
}
