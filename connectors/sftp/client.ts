/** SFTP over ssh2, an optional package: loading it, login and host key, its errors in our words. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { resolve } from "node:path";
import type * as Ssh from "ssh2";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { heartbeat, type Opening } from "../shared/link.ts";
import type { FolderCodes, FolderProtocol } from "../shared/remote-folder/port.ts";
import { isMissing, Remote, statusOf } from "./remote.ts";

type Client = Pick<typeof Ssh, "Client" | "utils">;

export interface SftpConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly passphrase?: string;
  readonly hostKey: string | readonly string[];
  readonly heartbeat: number;
}

const fingerprint = {
  type: "string",
  pattern: "^SHA256:[A-Za-z0-9+/]{43}$",
  patternErrorMessage: "must be a fingerprint such as SHA256:…",
};

export const sftpSchema: Readonly<Record<string, JsonSchema>> = {
  host: {
    type: "string",
    pattern: "^[^\\s/@]+$",
    patternErrorMessage: "must be a name or an address, without user or port",
    description: "Host of the server.",
  },
  port: { type: "integer", minimum: 1, maximum: 65535, default: 22, description: "Port of the server." },
  user: { type: "string", minLength: 1, description: "User." },
  password: { type: "string", description: "Password." },
  privateKey: {
    type: "string",
    minLength: 1,
    description: "Private key: a file, relative to mayfly.yaml, or its text. OpenSSH, PEM or PPK.",
  },
  passphrase: { type: "string", description: "Passphrase of the private key." },
  hostKey: {
    anyOf: [{ const: "any" }, fingerprint, { type: "array", minItems: 1, items: fingerprint }],
    description:
      "Fingerprint of the server's key, or a list of them, as `ssh-keygen -lf` prints it: `SHA256:…`. `any`: trust whoever answers, for experiments only.",
  },
  heartbeat: duration("Time without an answer after which the connection counts as lost.", "10s"),
};

export const sftpRequired = ["host", "user", "hostKey", "dir"] as const;
/** One way to log in at least. */
export const sftpLogin: readonly JsonSchema[] = [{ required: ["password"] }, { required: ["privateKey"] }];

export const sftpPeer = ({ host, port }: SftpConfig): string => `sftp://${host}:${port}`;

/** Throws MF_SFTP_CLIENT when the package is not installed. */
export async function loadClient(load: () => Promise<{ readonly default: Client }> = () => import("ssh2")): Promise<Client> {
  try {
    return (await load()).default;
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new CodedError("MF_SFTP_CLIENT", "the SFTP client is not installed: run `npm install ssh2@1` beside mayfly", { cause });
  }
}

/** Connects, checks the server's key, logs in. Closed with the session. */
export async function openSftp(config: SftpConfig, context: ConnectorContext, { lost, own }: Opening): Promise<Remote> {
  const ssh = await loadClient();
  const privateKey = await privateKeyOf(config, context, ssh);
  const client = new ssh.Client();
  const peer = sftpPeer(config);
  let wrongKey: CodedError | undefined;
  let remote: Remote | undefined;
  let closed = false;
  const ended = (error: unknown): void => {
    lost(wrongKey ?? error);
    remote?.lost();
  };
  own({
    close: () =>
      new Promise<void>((over) => {
        remote?.lost();
        if (closed) return over();
        client.once("close", () => over());
        client.end();
      }),
  });
  const { password, user, host, port } = config;
  const sftp = await new Promise<Ssh.SFTPWrapper>((resolveSftp, reject) => {
    client.on("error", (error) => {
      reject(wrongKey ?? error);
      ended(error);
    });
    client.on("close", () => {
      closed = true;
      const error = new Error("the connection was closed");
      reject(wrongKey ?? error);
      ended(error);
    });
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password ?? "")));
    client.on("ready", () => client.sftp((error, wrapper) => (error === undefined ? resolveSftp(wrapper) : reject(error))));
    client.connect({
      sock: connect({ host, port, noDelay: true }),
      username: user,
      ...(password === undefined ? {} : { password, tryKeyboard: true }),
      ...(privateKey === undefined ? {} : { privateKey, ...(config.passphrase === undefined ? {} : { passphrase: config.passphrase }) }),
      readyTimeout: brokerLimits.connectMs,
      hostVerifier: (key: Buffer) => {
        wrongKey = hostKeyProblem(config, key, peer);
        return wrongKey === undefined;
      },
    });
  });
  const opened = new Remote(sftp, context.clock, ended);
  remote = opened;
  if (closed) opened.lost();
  sftp.on("error", ended);
  sftp.on("close", () => ended(new Error("the SFTP channel was closed")));
  own({ close: heartbeat(context, config.heartbeat, () => opened.stat("."), lost) });
  return opened;
}

function hostKeyProblem({ hostKey }: SftpConfig, key: Buffer, peer: string): CodedError | undefined {
  const given = `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
  if (hostKey === "any" || [hostKey].flat().includes(given)) return undefined;
  const kind = key.subarray(4, 4 + key.readUInt32BE(0)).toString("latin1");
  return new CodedError(
    "MF_SFTP_HOST_KEY",
    `${peer} shows the ${kind} key ${given}, which is not the hostKey: if the server's owner confirms this key, put it into hostKey; else somebody is in between`,
  );
}

async function privateKeyOf({ privateKey, passphrase }: SftpConfig, { base }: ConnectorContext, ssh: Client): Promise<string | undefined> {
  if (privateKey === undefined) return undefined;
  let text = privateKey;
  if (!/^\s*(-----BEGIN |PuTTY-User-Key-File-)/.test(privateKey))
    try {
      text = await readFile(resolve(base, privateKey), "utf8");
    } catch (cause) {
      throw new CodedError("MF_SFTP_KEY", `privateKey: no readable file ${codeOf(cause)}: correct the path, or give the key's text`, {
        cause,
      });
    }
  const key = ssh.utils.parseKey(text, passphrase);
  if (key instanceof Error) throw new CodedError("MF_SFTP_KEY", `privateKey can't be used: ${key.message}. Check the file and passphrase`);
  return text;
}

export function explainSftp(peer: string, place: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  if ((error as { readonly level?: unknown }).level === "client-authentication")
    return new CodedError("MF_SFTP_AUTH", `${peer} rejected the login: check user, password and privateKey`, { cause: error });
  if (statusOf(error) !== undefined)
    return new CodedError(
      "MF_SFTP_FOLDER",
      `${place} of ${peer} can't be used: ${messageOf(error)}. Check that it exists and its permissions`,
      {
        cause: error,
      },
    );
  return explainNetwork("SFTP", peer, error);
}

const codes: FolderCodes = {
  changed: "MF_SFTP_CHANGED",
  ignored: "MF_SFTP_IGNORED",
  limit: "MF_SFTP_LIMIT",
  method: "MF_SFTP_METHOD",
  move: "MF_SFTP_MOVE",
  name: "MF_SFTP_NAME",
  noFile: "MF_SFTP_NO_FILE",
  read: "MF_SFTP_READ",
  taken: "MF_SFTP_TAKEN",
  takenOver: "MF_SFTP_TAKEN_OVER",
  write: "MF_SFTP_WRITE",
};

export function sftpProtocol(config: SftpConfig, context: ConnectorContext): FolderProtocol {
  const peer = sftpPeer(config);
  return {
    name: "sftp",
    codes,
    peer,
    forbidden: /\0/,
    open: (opening) => openSftp(config, context, opening),
    explain: (place, error) => explainSftp(peer, place, error),
    isMissing,
    isRefusal: (error) => statusOf(error) !== undefined,
  };
}
