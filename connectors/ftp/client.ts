/** FTP over basic-ftp, an optional package: loading it, TLS and login, its errors in our words. */
import type * as Ftp from "basic-ftp";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf } from "../shared/explain.ts";
import { heartbeat, type Opening } from "../shared/link.ts";
import type { FolderCodes, FolderProtocol } from "../shared/remote-folder/port.ts";
import { readTls, type TlsConfig, type TlsMaterial, tlsSchema } from "../shared/tls.ts";
import { ftpLimits } from "./limits.ts";
import { entryLines, forbidden, FtpRemote, NoSuchFile, refusalOf } from "./remote.ts";
import { Transfers } from "./transfers.ts";

type Library = Pick<typeof Ftp, "Client" | "parseList">;

export interface FtpConfig {
  readonly host: string;
  readonly port?: number;
  readonly user: string;
  readonly password: string;
  readonly secure: "explicit" | "implicit";
  readonly plain: boolean;
  readonly tls?: TlsConfig;
  readonly heartbeat: number;
}

const oneLine = { pattern: "^[^\\r\\n\\u0000]+$", patternErrorMessage: "must be one line" };

export const ftpSchema: Readonly<Record<string, JsonSchema>> = {
  host: {
    type: "string",
    pattern: "^[^\\s/@]+$",
    patternErrorMessage: "must be a name or an address, without user or port",
    description: "Host of the server.",
  },
  port: { type: "integer", minimum: 1, maximum: 65535, description: "Port of the server. Default: 21, and 990 with `secure: implicit`." },
  user: { type: "string", ...oneLine, description: "User." },
  password: { type: "string", ...oneLine, description: "Password." },
  secure: {
    enum: ["explicit", "implicit"],
    default: "explicit",
    description: "`explicit`: TLS begins with AUTH TLS, before the login. `implicit`: TLS from the first byte, as old servers have it.",
  },
  tls: {
    ...tlsSchema,
    description: "Options of TLS, which is always used without `plain`. PEM files are relative to mayfly.yaml.",
  },
  plain: {
    type: "boolean",
    default: false,
    description:
      "Connect without TLS: password and files can be read and changed on their way. For servers in the same machine or tunnel only.",
  },
  heartbeat: duration("Time without an answer, or without a byte of a file, after which a connection counts as lost.", "30s"),
};

export const ftpRequired = ["host", "user", "password", "dir"] as const;

const portOf = ({ port, secure, plain }: FtpConfig): number => port ?? (secure === "implicit" && !plain ? 990 : 21);

export const ftpPeer = (config: FtpConfig): string => `${config.plain ? "ftp" : "ftps"}://${config.host}:${portOf(config)}`;

/** Throws MF_FTP_CLIENT when the package is not installed. */
export async function loadClient(load: () => Promise<Library> = async () => (await import("basic-ftp")).default): Promise<Library> {
  try {
    return await load();
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new CodedError("MF_FTP_CLIENT", "the FTP client is not installed: run `npm install basic-ftp@6` beside mayfly", { cause });
  }
}

/** Connects, checks the server's certificate, logs in. The caller closes it, also when this rejects. */
async function login(client: Ftp.Client, config: FtpConfig, tls: TlsMaterial): Promise<void> {
  const peer = ftpPeer(config);
  const options = { ...tls, host: config.host };
  const port = portOf(config);
  const refused = (code: string, why: string) => (error: unknown) => {
    throw refusalOf(error) === undefined ? error : new CodedError(code, `${peer} ${why}`, { cause: error });
  };
  const implicit = config.secure === "implicit" && !config.plain;
  await (implicit ? client.connectImplicitTLS(config.host, port, options) : client.connect(config.host, port)).catch(
    refused("MF_FTP_UNREACHABLE", "takes no connection now"),
  );
  if (!implicit && !config.plain)
    await client.useTLS(options).catch(refused("MF_FTP_TLS", "has no TLS (AUTH TLS): turn it on there, or set `secure: implicit`"));
  await client.sendIgnoringError("OPTS UTF8 ON");
  await client.login(config.user, config.password).catch(refused("MF_FTP_AUTH", "rejected the login: check user and password"));
  await client.useDefaultSettings();
}

/** Connects and logs in. Closed with the session. */
export async function openFtp(config: FtpConfig, context: ConnectorContext, { lost, own }: Opening): Promise<FtpRemote> {
  const library = await loadClient();
  const tls = (await readTls(config.tls, context)) ?? { rejectUnauthorized: true };
  const limits = { allowSeparateTransferHost: false, maxListingBytes: ftpLimits.listingBytes };
  const connect = async (): Promise<Ftp.Client> => {
    const client = new library.Client(config.heartbeat, limits);
    client.parseList = (listing) => library.parseList(entryLines(listing));
    try {
      await login(client, config, tls);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  };
  const control = await connect();
  const transfers = new Transfers(connect);
  let remote: FtpRemote | undefined;
  const ended = (error: unknown): void => {
    lost(error);
    remote?.close();
  };
  own({
    close() {
      control.close();
      transfers.close();
      remote?.close();
    },
  });
  const features = await control.features();
  for (const feature of ["SIZE", "MDTM"])
    if (!features.has(feature))
      throw new CodedError(
        "MF_FTP_FEATURE",
        `${ftpPeer(config)} has no ${feature} command: turn it on there, a changed file is noticed by it`,
      );
  const home = (await control.pwd()).replaceAll('""', '"');
  remote = new FtpRemote({
    control,
    transfers,
    home,
    resumes: features.get("REST") === "STREAM",
    now: () => context.clock.now(),
    lost: ended,
  });
  for (const event of ["end", "close", "error"]) control.ftp.socket.on(event, () => ended(new Error("the connection was closed")));
  const opened = remote;
  own({ close: heartbeat(context, config.heartbeat, () => opened.probe(), ended) });
  return opened;
}

export function explainFtp(peer: string, place: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  if (refusalOf(error) !== undefined || error instanceof NoSuchFile)
    return new CodedError(
      "MF_FTP_FOLDER",
      `${place} of ${peer} can't be used: ${messageOf(error)}. Check that it exists and its permissions`,
      { cause: error },
    );
  return explainNetwork("FTP", peer, error);
}

const codes: FolderCodes = {
  changed: "MF_FTP_CHANGED",
  ignored: "MF_FTP_IGNORED",
  limit: "MF_FTP_LIMIT",
  method: "MF_FTP_METHOD",
  move: "MF_FTP_MOVE",
  name: "MF_FTP_NAME",
  noFile: "MF_FTP_NO_FILE",
  read: "MF_FTP_READ",
  taken: "MF_FTP_TAKEN",
  takenOver: "MF_FTP_TAKEN_OVER",
  write: "MF_FTP_WRITE",
};

/** Throws MF_CONFIG_TLS for TLS options beside `plain`: they would be ignored. */
export function ftpProtocol(config: FtpConfig, context: ConnectorContext): FolderProtocol {
  const peer = ftpPeer(config);
  if (config.plain && (config.tls !== undefined || config.secure === "implicit"))
    throw new CodedError("MF_CONFIG_TLS", "plain connects without TLS, but tls or secure is set: remove plain, or the others");
  if (config.plain)
    context.logger.warn({ code: "MF_FTP_PLAIN", peer }, "plain: true: the password and the files go over the network without TLS");
  return {
    name: "ftp",
    codes,
    peer,
    forbidden,
    open: (opening) => openFtp(config, context, opening),
    explain: (place, error) => explainFtp(peer, place, error),
    isMissing: (error) => error instanceof NoSuchFile,
    isRefusal: (error) => refusalOf(error) !== undefined || error instanceof NoSuchFile,
  };
}
