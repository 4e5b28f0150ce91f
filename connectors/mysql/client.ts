/** MySQL and MariaDB over mysql2, an optional package: connecting, statements, errors in our words, and the layout of an inbox table. */
import { connect as connectSocket, type Socket } from "node:net";
import type { Connection as Client, FieldPacket, QueryError, ResultSetHeader } from "mysql2";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema, OutletError } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { LossGuard } from "../shared/link.ts";
import type { RowBound } from "../shared/sql-rows.ts";
import { quotedTable } from "../shared/sql.ts";
import { readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { BoundedPackets, missingClient } from "./bounded.ts";
import { mysqlLimits } from "./limits.ts";

type Driver = Pick<typeof import("mysql2"), "createConnection">;

export interface MysqlConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly heartbeat: number;
  /** Absent: connect without TLS. */
  readonly tls?: TlsConfig;
}

export const mysqlSchema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`mysql://user:password@host:3306/database`, or `mariadb://…`." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  heartbeat: duration("Timeout after which a silent server counts as lost.", "10s"),
  tls: {
    ...tlsSchema,
    description: "Connect with TLS. `{}`: trust the system's certificate authorities; PEM files are relative to mayfly.yaml.",
  },
};

/** Throws MF_MYSQL_CLIENT when the package is not installed. */
export async function loadDriver(load: () => Promise<Driver> = async () => (await import("mysql2")).default): Promise<Driver> {
  try {
    return await load();
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw missingClient(cause);
  }
}

function urlOf(config: MysqlConfig): URL {
  const url = parseUrl(config.url, ["mysql:", "mariadb:"]);
  if (url.search !== "") throw new CodedError("MF_CONFIG_URL", "url must have no ?options: TLS is set with tls, all else by the connector");
  return url;
}

export function mysqlPeer(config: MysqlConfig): string {
  urlOf(config);
  return withoutSecrets(config.url);
}

/** One connection. Statements run one after the other. */
export class MysqlConnection {
  readonly #client: Client;
  readonly #packets: BoundedPackets;
  readonly #guard: LossGuard;
  /** Longest packet that the server takes, in bytes. */
  #packetBytes = Infinity;

  private constructor(client: Client, bound: RowBound, guard: LossGuard) {
    this.#client = client;
    this.#packets = new BoundedPackets(client, bound);
    this.#guard = guard;
  }

  static async open(
    config: MysqlConfig,
    context: ConnectorContext,
    lost: (error: unknown) => void,
    bound: RowBound,
  ): Promise<MysqlConnection> {
    const url = urlOf(config);
    const [driver, tls] = [await loadDriver(), await readTls(config.tls, context)];
    const host = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, "");
    const guard = new LossGuard();
    const gone = (error: unknown): void => {
      lost(error);
      guard.lost();
    };
    const socket = openSocket(url.port === "" ? mysqlLimits.port : Number(url.port), host, gone);
    const client = driver.createConnection({
      stream: () => socket,
      host: tls?.servername ?? host, // which mysql2 only compares with the certificate, since it has a socket
      user: config.username ?? decodeURIComponent(url.username),
      password: config.password ?? decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
      ...(tls === undefined ? {} : { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized } }),
      charset: "utf8mb4",
      connectTimeout: brokerLimits.connectMs,
      maxPreparedStatements: mysqlLimits.statements,
      disableEval: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
    });
    const connection = new MysqlConnection(client, bound, guard);
    client.on("error", gone);
    try {
      await guard.during(new Promise<void>((resolve) => client.once("connect", () => resolve())));
      await connection.#prepare();
      return connection;
    } catch (error) {
      lost(error); // before closing, which would be taken for the reason
      client.destroy();
      throw error;
    }
  }

  /** The same session at every server: strict about values, quotes as `mysqlSql` has them, UTC, and no locks between rows. */
  async #prepare(): Promise<void> {
    await this.plain("set session sql_mode = 'TRADITIONAL', time_zone = '+00:00', autocommit = 1");
    await this.plain("set session transaction isolation level read committed");
    const [row] = await this.rows<{ readonly bytes: string | number }>("select @@max_allowed_packet as bytes");
    this.#packetBytes = Number(row?.bytes ?? Infinity);
  }

  /** Text without values, for what can't be prepared. */
  plain(sql: string): Promise<void> {
    return this.#guard.during(
      new Promise(
        (resolve, reject) => void this.#client.query(sql, (error: unknown) => (error === null ? resolve() : reject(error as Error))),
      ),
    );
  }

  /** Runs a statement, and again if the server rolled it back for the sake of another: for statements that are their own transaction. */
  async change(sql: string, values: readonly unknown[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.execute(sql, values);
        return;
      } catch (error) {
        if (tries === mysqlLimits.lockedTries || !lockErrors.has(numberOf(error))) throw error;
      }
    }
  }

  async rows<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const rows: Row[] = [];
    await this.execute(sql, values, (row) => rows.push(row as Row));
    return rows;
  }

  /** Names of the columns of a query's rows. */
  async columns(sql: string): Promise<string[]> {
    const names: string[] = [];
    await this.execute(sql, [], undefined, (fields) => names.push(...fields.map(({ name }) => name)));
    return names;
  }

  /** A prepared statement. `onRow` gets its rows one by one. Resolves with the counts of one that changes rows. */
  async execute(
    sql: string,
    values: readonly unknown[] = [],
    onRow?: (row: object) => void,
    onFields?: (fields: readonly FieldPacket[]) => void,
  ): Promise<ResultSetHeader | undefined> {
    let bytes = Buffer.byteLength(sql) + mysqlLimits.packetBytes;
    for (const value of values) bytes += typeof value === "string" || value instanceof Uint8Array ? Buffer.byteLength(value) : 0;
    // The server would close the connection over it, each time.
    if (bytes > this.#packetBytes)
      throw new OutletError(
        "MF_MYSQL_TOO_LARGE",
        `the message is longer than the server's max_allowed_packet (${this.#packetBytes} bytes)`,
        {
          retryable: false,
        },
      );
    let header: ResultSetHeader | undefined;
    const packets = this.#packets;
    const work = new Promise<ResultSetHeader | undefined>((resolve, reject) => {
      const running = this.#client.execute({ sql, values: [...values] as never[] });
      running.on("fields", (fields: readonly FieldPacket[] | undefined) => {
        packets.rowsCome = fields !== undefined; // otherwise a header comes
        if (fields !== undefined) onFields?.(fields);
      });
      running.on("result", (result: object) => {
        if (packets.rowsCome) onRow?.(result);
        else header = result as ResultSetHeader;
      });
      running.on("error", reject);
      running.on("end", () => resolve(header));
    });
    return this.#guard.during(work.finally(() => (packets.rowsCome = false)));
  }

  /** Rows that were left out because they were too long. */
  get leftOut(): number {
    return this.#packets.leftOut;
  }

  ping(): Promise<void> {
    return this.#guard.during(new Promise((resolve, reject) => this.#client.ping((error) => (error === null ? resolve() : reject(error)))));
  }

  close(): Promise<void> {
    return this.#guard.during(new Promise<void>((resolve) => this.#client.end(() => resolve())));
  }
}

/** Tells of every end: mysql2 tells only the statements that wait with a callback. */
function openSocket(port: number, host: string, lost: (error: unknown) => void): Socket {
  const socket = connectSocket(port, host);
  // The name that node:tls compares with the certificate where mysql2 gives none, for an address; else it would be "localhost".
  Object.assign(socket, { _host: host });
  socket.setNoDelay(true).setKeepAlive(true);
  return socket.on("error", lost).on("close", () => lost(new Error("the connection was closed")));
}

/** MySQL's number of the error, or 0. */
export function numberOf(error: unknown): number {
  return (error as Partial<QueryError> | undefined)?.errno ?? 0;
}

const lockErrors: ReadonlySet<number> = new Set([1205, 1213]); // lock wait timeout, deadlock

/** By MySQL's numbers, which MariaDB shares up to 4000: the SQL states are too coarse. */
export function explainMysql(peer: string, what: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const message = withoutUser(messageOf(error));
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  switch (numberOf(error)) {
    case 1045: // access denied
    case 1130: // host not allowed
    case 1251: // authentication not supported
    case 1524: // no such authentication plugin
    case 1698: // access denied, without a password
    case 1820: // password must be changed
    case 1862: // password expired
    case 3118: // account locked
    case 4151: // account locked
      return told("MF_MYSQL_AUTH", `${peer} rejected the login: check url, username and password`);
    case 1046: // no database selected
    case 1049: // unknown database
      return told("MF_MYSQL_NO_DATABASE", `${peer}: ${message}`);
    case 1146:
      return told("MF_MYSQL_NO_TABLE", `${what} does not exist at ${peer}: create it, or correct its name`);
    case 1054:
      return told("MF_MYSQL_COLUMNS", `${what} at ${peer} has unexpected columns: ${message}`);
    case 1044: // database
    case 1142: // table
    case 1143: // column
    case 1227: // privilege
    case 1370: // routine
      return told("MF_MYSQL_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
    case 1153: // packet too large
      return told("MF_MYSQL_TOO_LARGE", `the message is longer than max_allowed_packet of ${peer}`);
    case 3159: // secure transport required
      return told("MF_MYSQL_TLS", `${peer} takes only TLS connections: set tls`);
    case 1021: // disk full
    case 1040: // too many connections
    case 1053: // shutdown
    case 1129: // too many connection errors
    case 1203: // user's connections
    case 1205: // lock wait timeout
    case 1213: // deadlock
    case 1226: // user's resources
    case 1290: // read-only
    case 1792: // read-only transaction
    case 1836: // read-only mode
    case 1927: // killed
      return told("MF_MYSQL_UNAVAILABLE", `${peer} is not available: ${message}`);
    default:
  }
  const { code, sqlState } = error as Partial<QueryError>;
  if (code === "AUTH_SWITCH_PLUGIN_ERROR" || code === "MYSQL_CLEAR_PASSWORD_NOT_ENABLED")
    return told("MF_MYSQL_AUTH", `${peer} wants a login that is not supported here: ${message}`);
  if (code === "HANDSHAKE_NO_SSL_SUPPORT")
    return told("MF_MYSQL_TLS", `${peer} does not support TLS: enable it at the server, or leave out tls`);
  if (code === "HANDSHAKE_SSL_ERROR")
    return told("MF_MYSQL_TLS", `no trusted TLS connection to ${peer}: ${message}. Check tls: ca, cert, key`);
  if (sqlState !== undefined && !sqlState.startsWith("08"))
    return told("MF_MYSQL_FAILED", `${peer} rejected a statement on ${what}: ${message}`);
  return explainNetwork("MYSQL", peer, error);
}

/** "SELECT command denied to user 'ada'@'10.0.0.1'", "User ada already has more than …". */
function withoutUser(message: string): string {
  return message.replace(/'[^']*'@'[^']*'/g, "of this connection").replace(/\bUser '?[^\s']+'? (?=already|has)/, "this user ");
}

export const quoteName = (name: string): string => `\`${name.replaceAll("`", "``")}\``;
export const quoteTable = (name: string): string => quotedTable(name, quoteName);

/** The inbox table of source and outlet. Row ids are assigned at insert, so rows of a long transaction may come behind later ones. */
export function inboxTable(quoted: string): string {
  return `create table if not exists ${quoted} (
    id bigint auto_increment primary key,
    message_id varchar(512) character set utf8mb4 collate utf8mb4_bin unique,
    \`key\` text,
    content_type text,
    correlation_id text,
    headers json,
    body longblob not null,
    created_at datetime(6) not null default current_timestamp(6),
    attempts integer not null default 0,
    claimed_by varchar(64),
    claimed_until datetime(6),
    done_at datetime(6),
    error text,
    key waiting (done_at, id)
  ) engine = innodb default character set utf8mb4`;
}

/** A row as JSON can have it. */
export function jsonOf(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, unknown]) => [name, Buffer.isBuffer(value) ? value.toString("base64") : value]),
  );
}
