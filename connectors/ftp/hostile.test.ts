/** Servers that lie: listings without end, names that lead elsewhere, other hosts, lost and silent data connections, sizes that are wrong. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import ftp, { FileInfo, FileType } from "basic-ftp";
import { CodedError } from "#base";
import { folderLimits } from "../shared/remote-folder/limits.ts";
import { ReadAgain } from "../shared/remote-folder/port.ts";
import { configured, eventually, testContext } from "../testing/rig.ts";
import { openFtp, type FtpConfig } from "./client.ts";
import { ftpLimits } from "./limits.ts";
import { ftpOutlet } from "./outlet.ts";
import { entryLines, entryOf, type FtpRemote, roughSeconds } from "./remote.ts";

interface Script {
  readonly size?: number;
  /** Answer to PASV; `port` is that of the data connection. */
  readonly pasv?: (port: number) => string;
  readonly features?: string;
  /** Serves a data connection. `start`: from REST. */
  data?(socket: Socket, command: string, start: number): void;
}

const closers: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** A listener on a free port, closed with its connections in the end. */
async function listener(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}

/** A server of one file, and a connection to it; `commands` are what it was asked. */
async function opened(script: Script) {
  const commands: string[] = [];
  const port = await listener((control) => {
    let start = 0;
    let ready: Promise<Socket> = new Promise(() => {});
    const answer = (text: string): void => void control.write(`${text}\r\n`);
    const passive = async (): Promise<number> => {
      let take: (socket: Socket) => void = () => {};
      ready = new Promise((resolve) => (take = resolve));
      return await listener((socket) => take(socket));
    };
    const transfer = async (command: string): Promise<void> => {
      const socket = await ready;
      answer("150 now");
      socket.on("close", (failed) => answer(failed || socket.readableAborted ? "426 cut" : "226 done"));
      script.data?.(socket, command, start);
      start = 0;
    };
    const replies: Readonly<Record<string, (rest: string) => unknown>> = {
      FEAT: () => answer(`211-Features\r\n${script.features ?? " SIZE\r\n MDTM\r\n REST STREAM"}\r\n211 end`),
      USER: () => answer("331 password"),
      PASS: () => answer("230 in"),
      PWD: () => answer('257 "/"'),
      EPSV: async () => answer(script.pasv === undefined ? `229 here (|||${await passive()}|)` : "500 no"),
      PASV: async () => answer(script.pasv?.(await passive()) ?? "500 no"),
      SIZE: (path) => answer(/\/(f|new)$/.test(path) ? `213 ${script.size ?? 0}` : "550 none"),
      MDTM: () => answer("213 20260102030405"),
      REST: (at) => {
        start = Number(at);
        answer("350 from there");
      },
    };
    answer("220 hello");
    control.on("data", (bytes) => {
      for (const line of String(bytes).split("\r\n").filter(Boolean)) {
        commands.push(line);
        const [name = "", ...rest] = line.split(" ");
        if (["RETR", "LIST", "STOR"].includes(name)) void transfer(name);
        else if (replies[name] === undefined) answer("250 yes");
        else replies[name](rest.join(" "));
      }
    });
  });
  const raw = { host: "127.0.0.1", port, user: "ada", password: "hunter2", plain: true, dir: "/", heartbeat: "400ms" };
  const context = testContext();
  const losses: unknown[] = [];
  const own = <T extends { close(): unknown }>(closable: T): T => {
    closers.push(() => void closable.close());
    return closable;
  };
  const config = configured<FtpConfig>(ftpOutlet, raw);
  const remote: FtpRemote = await openFtp(config, context, { lost: (error) => losses.push(error), own });
  return { remote, commands, losses };
}

async function whole(remote: FtpRemote, size: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of remote.read("/f", size, () => true)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) & 255));

test("a lost data connection is gone on from where it ended, a few times without progress", async () => {
  let cuts = 0;
  const { remote, commands } = await opened({
    size: bytes.length,
    data(socket, _command, start) {
      if (cuts++ < 3) socket.write(bytes.subarray(start, start + 70_000), () => setImmediate(() => socket.resetAndDestroy()));
      else socket.end(bytes.subarray(start));
    },
  });
  deepEqual(await whole(remote, bytes.length), bytes);
  ok(
    commands.some((command) => command.startsWith("REST ")),
    "it went on",
  );
  const never = await opened({ size: bytes.length, data: (socket) => socket.resetAndDestroy() });
  await rejects(whole(never.remote, bytes.length));
  equal(never.commands.filter((command) => command === "RETR /f").length, ftpLimits.resumptions + 1);
});

test("a server without REST is read from the beginning by the next attempt", async () => {
  const { remote, commands } = await opened({ size: 10, features: " SIZE\r\n MDTM", data: (socket) => socket.resetAndDestroy() });
  await rejects(whole(remote, 10));
  equal(commands.filter((command) => command === "RETR /f").length, 1);
});

test("a file with more or fewer bytes than its size is read again later", async () => {
  for (const size of [bytes.length - 1, bytes.length + 1]) {
    const { remote } = await opened({ size, data: (socket) => void socket.end(bytes) });
    await rejects(whole(remote, size), ReadAgain);
  }
});

test("an upload that the server has cut short is an error", async () => {
  const { remote } = await opened({ size: 4, data: (socket) => void socket.resume() });
  await rejects(remote.write("/new", [Buffer.from("12345")], new AbortController().signal), /has 4 bytes of the 5/);
});

test("a passive address of another host is not followed", async () => {
  const { remote, losses } = await opened({ pasv: (port) => `227 there (10,1,2,3,${port >> 8},${port & 255})` });
  await rejects(remote.list("/"), /another host/);
  await eventually("it is told", () => losses.length > 0);
  const same = await opened({
    pasv: (port) => `227 here (127,0,0,1,${port >> 8},${port & 255})`,
    data: (socket) => void socket.end("-rw-r--r-- 1 0 0 3 Jan 02 2026 a\r\n"),
  });
  deepEqual(
    (await same.remote.list("/")).map(({ name }) => name),
    ["a"],
  );
});

test("a listing without end is ended, and told", async () => {
  const line = Buffer.from("-rw-r--r-- 1 0 0 3 Jan 02 2026 unwanted\r\n".repeat(1_000));
  const { remote, losses } = await opened({
    data(socket) {
      const more = (): void => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on("drain", more);
      more();
    },
  });
  await rejects(
    remote.list("/", () => false),
    { code: "MF_FTP_LISTING" },
  );
  await eventually("it is told", () => losses.length > 0);
  ok(losses[0] instanceof CodedError && remote.closed);
});

test("a data connection that is silent ends with the heartbeat's time", async () => {
  const { remote, losses } = await opened({ data: (socket) => void socket.write("-rw") });
  await rejects(remote.list("/"), /Timeout/);
  await eventually("it is told", () => losses.length > 0);
});

test("a server without SIZE and MDTM is told", async () => {
  await rejects(opened({ features: " SIZE" }), { code: "MF_FTP_FEATURE" });
});

test("no path with a line break becomes a command", async () => {
  const { remote, commands } = await opened({ size: 1 });
  for (const path of ["/f\r\nDELE /f", "/f\n", "/\0f"]) {
    await rejects(remote.remove(path));
    await rejects(remote.replace("/f", path));
    await rejects(remote.write(path, ["x"].map(Buffer.from), new AbortController().signal));
    await rejects(remote.stat(path));
  }
  await remote.stat("/f");
  ok(!remote.closed, "the connection is as before");
  ok(!commands.some((command) => /DELE|RNFR|STOR/.test(command)), commands.join());
});

test("entries that lead elsewhere are nothing that can be used", () => {
  const named = (name: string, size = 1): FileInfo => Object.assign(new FileInfo(name), { type: FileType.File, size, rawModifiedAt: "" });
  for (const name of ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\rb", "a\nb", "a\0b", "a".repeat(folderLimits.nameCharacters + 1)]) {
    const entry = entryOf(named(name), 0);
    equal(entry.kind, "other", JSON.stringify(name));
    ok(!/[\0\r\n/]/.test(entry.name) && entry.name.length <= folderLimits.nameCharacters);
  }
  for (const size of [Number.NaN, -1, 1e20, 1.5]) equal(entryOf(named("a", size), 0).kind, "other");
  deepEqual(entryOf(named("a ö.csv", 3), 0), { name: "a ö.csv", kind: "file", size: 3, mtime: 0, roughTime: true });
});

test("a name with a line break hides no other entry, and rough times keep their order", () => {
  const lines = "-rw-r--r-- 1 0 0 3 Jan 02 2026 a\r\n-rw-r--r-- 1 0 0 3 Jan 02 2026 z\r\nDELE b\r\n";
  deepEqual(
    ftp.parseList(entryLines(lines)).map(({ name }) => name),
    ["a", "z"],
  );
  const nowMs = Date.UTC(2026, 0, 10);
  const times = ["Dec 24 2024", "Dec 31 23:59", "Jan 02 10:00", "Jan 02 10:01"].map((text) => roughSeconds(text, nowMs));
  deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  equal(times[1], Date.UTC(2025, 11, 31, 23, 59) / 1000);
  equal(roughSeconds("nonsense", nowMs), 0);
});
