/**
 * Where the admin endpoints' UNIX socket is: beside what the gateway keeps, so that whoever may read that may use it, and nobody else.
 *
 *   journal on disk     JOURNAL/admin.sock
 *   journal in memory   .mayfly/run/admin.sock beside mayfly.yaml
 *   a path over 107 bytes (sun_path, unix(7))   HASH.sock in $XDG_RUNTIME_DIR/mayfly, or in mayfly-UID below the temporary folder
 */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { CodedError } from "#base";
import { gatewayLimits } from "../contract/limits.ts";

/** Beside the journal, or below the project. */
const ownName = "admin.sock";

export interface SocketPlace {
  /** Folder of mayfly.yaml. */
  readonly base: string;
  readonly journal: { readonly dir: string | undefined };
}

export interface SocketSurroundings {
  readonly runtimeDir: string | undefined;
  readonly temporaryDir: string;
  readonly user: number;
}

function surroundings(): SocketSurroundings {
  return { runtimeDir: process.env["XDG_RUNTIME_DIR"], temporaryDir: tmpdir(), user: process.getuid?.() ?? 0 };
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Paths the socket may have, the first that can be used first. */
export function adminSocketPaths({ base, journal }: SocketPlace, { runtimeDir, temporaryDir, user } = surroundings()): string[] {
  const folder = journal.dir === undefined ? join(".mayfly", "run") : journal.dir;
  const path = join(resolve(base, folder), ownName);
  if (Buffer.byteLength(path) <= gatewayLimits.socketPathBytes) return [path];
  const name = `${createHash("sha256")
    .update(join(resolve(real(base), folder), ownName))
    .digest("hex")
    .slice(0, 32)}.sock`;
  const folders = [
    ...(runtimeDir === undefined || runtimeDir === "" ? [] : [join(runtimeDir, "mayfly")]),
    join(temporaryDir, `mayfly-${user}`),
  ];
  return folders.map((each) => join(each, name)).filter((each) => Buffer.byteLength(each) <= gatewayLimits.socketPathBytes);
}

/** Makes the socket's folder. The temporary folder is everybody's: a link, or what another user has put there, is refused. */
function makeFolder(path: string, stat: (path: string) => Stats): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = stat(path);
  if (!found.isDirectory() || found.uid !== (process.getuid?.() ?? found.uid) || (found.mode & 0o002) !== 0)
    throw new CodedError(
      "MF_ADMIN_SOCKET",
      `${path} must be a folder that only this user can access: change its owner or set its mode to 0700`,
    );
}

/** True if somebody listens there: a socket file may be left of a process that was killed. */
export function socketAnswers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}

/**
 * Makes room for a socket and calls `listen`, which has to bind it before it returns its promise: the socket is this user's alone from
 * the start. Gives its path, or rejects with MF_ADMIN_SOCKET.
 */
export async function listenAtSocket(place: SocketPlace, listen: (path: string) => Promise<void>): Promise<string> {
  const failures: string[] = [];
  for (const path of adminSocketPaths(place)) {
    try {
      makeFolder(dirname(path), basename(path) === ownName ? statSync : lstatSync);
      if (await socketAnswers(path)) throw new CodedError("MF_ADMIN_SOCKET", `another gateway listens at ${path}`);
      await unlink(path).catch(() => undefined); // left by a process that was killed
      const mask = process.umask(0o177);
      let listening: Promise<void>;
      try {
        listening = listen(path);
      } finally {
        process.umask(mask);
      }
      await listening;
      return path;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new CodedError(
    "MF_ADMIN_SOCKET",
    `there is no socket for \`mayfly send\` and \`mayfly dlq\` (${failures.join("; ") || "its path is too long"}): set http.admin.port and http.admin.token instead`,
  );
}
