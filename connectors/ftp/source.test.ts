/** Files that are taken from a folder of Debian's vsftpd, with TLS. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { installed } from "../testing/brokers.ts";
import { drop, fileNames, folderCase, isDone, names } from "../testing/folder.case.ts";
import { type FtpServerOptions, ftpServer, noVsftpd, trustedFtpServer } from "../testing/ftp-server.ts";
import { aWhile, configured, eventually, testContext, toldBy } from "../testing/rig.ts";
import { loadClient } from "./client.ts";
import { ftpSource, type FtpSourceConfig } from "./source.ts";

const skip = installed("openssl") ? noVsftpd() : "no openssl";
const made: string[] = [];
after(async () => {
  for (const dir of made) await rm(dir, { recursive: true });
});

const open = (options: FtpServerOptions = {}) => trustedFtpServer(made, options);

const pathOf = (dir: string): string => `/files${dir.split("/root/files")[1] ?? ""}`;
const rig = folderCase({
  name: "ftp",
  codes: {
    folder: "MF_FTP_FOLDER",
    limit: "MF_FTP_LIMIT",
    move: "MF_FTP_MOVE",
    takenOver: "MF_FTP_TAKEN_OVER",
    unreachable: "MF_FTP_UNREACHABLE",
  },
  skip,
  source: ftpSource,
  open,
  pathOf,
});

test("without the package the error gives the command", async () => {
  const missing = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
  const { code, message } = (await loadClient(() => Promise.reject(missing)).catch((error: unknown) => error)) as Error & { code: string };
  deepEqual([code, /npm install basic-ftp@6/.test(message)], ["MF_FTP_CLIENT", true]);
});

test("plain is told at each start, and not beside options of TLS", () => {
  const raw = { host: "127.0.0.1", user: "ada", password: "hunter2", dir: "in", plain: true };
  const context = testContext();
  ftpSource.create(configured<FtpSourceConfig>(ftpSource, raw), context);
  deepEqual(
    context.lines.map(({ level, fields }) => [level, fields["code"]]),
    [["warn", "MF_FTP_PLAIN"]],
  );
  for (const more of [{ tls: {} }, { secure: "implicit" }])
    throws(() => ftpSource.create(configured<FtpSourceConfig>(ftpSource, { ...raw, ...more }), context), { code: "MF_CONFIG_TLS" });
});

describe("ftp logins and names", { skip, timeout: 120_000 }, () => {
  test("wrong passwords, certificates and ports are told by their codes, without a secret", async () => {
    const dir = await rig.newFolder();
    const raw = { ...rig.server.login, dir: pathOf(dir) };
    await toldBy(ftpSource, { ...raw, password: "wrong one" }, "MF_FTP_AUTH");
    await toldBy(ftpSource, { ...raw, tls: {} }, "MF_FTP_TLS");
    await toldBy(ftpSource, { ...raw, port: 1 }, "MF_FTP_UNREACHABLE");
    const plain = await ftpServer();
    await toldBy(ftpSource, { ...plain.login, dir: "/files" }, "MF_FTP_TLS");
    await plain.broker.remove();
  });

  test("implicit TLS, and none at all, take files too", async () => {
    const implicit = await open({ implicit: true });
    const plain = await ftpServer();
    for (const [server, more] of [
      [implicit, { secure: "implicit" }],
      [plain, { plain: true }],
    ] as const) {
      await drop(server.files, ["a"]);
      const { source, gateway, start } = rig.started(server.files, { tls: undefined, ...server.login, ...more });
      await start();
      await eventually("it is done", isDone(server.files, 1));
      deepEqual(gateway.texts(), ["x"]);
      await source.stop();
      await server.broker.remove();
    }
  });

  test("names with spaces, patterns and quotes are taken; one with a line break is told, and reaches no command", async () => {
    const dir = await rig.newFolder();
    const odd = [" leading", "a  b", "quote\"'", "star*?[x]{y}", "-la", "per%cent", "trailing "];
    await drop(dir, odd);
    await writeFile(join(dir, "z\r\nDELE a  b"), "x");
    const { source, gateway, start, context } = rig.started(dir);
    await start();
    await eventually("all are done", isDone(dir, odd.length));
    deepEqual((fileNames(gateway) as string[]).map(decodeURIComponent).sort(), [...odd].sort());
    await aWhile();
    deepEqual(await names(dir), [".mayfly", "done", "failed", "z\r\nDELE a  b"]);
    ok(source.health().ready, source.health().detail);
    equal(context.lines.filter(({ level }) => level === "error").length, context.counts.get("ignored") ?? 0);
    await source.stop();
  });

  test("files that can't be read are told, and stay", async () => {
    const dir = await rig.newFolder();
    await drop(dir, ["a", "b"]);
    for (const name of ["a", "b"]) await chmod(join(dir, name), 0o600);
    const { source, gateway, start, context } = rig.started(dir);
    await start();
    await eventually("it is told", () => source.health().detail.startsWith("MF_FTP_READ: 2 files"));
    await aWhile();
    equal(context.lines.filter(({ fields }) => fields["code"] === "MF_FTP_READ").length, 2, "once each");
    equal(gateway.received.length, 0);
    for (const instance of await names(dir, ".mayfly"))
      if (!instance.endsWith(".lease")) for (const name of ["a", "b"]) await chmod(join(dir, ".mayfly", instance, name), 0o666);
    await eventually("they are done", isDone(dir, 2));
    await source.stop();
  });

  test("of many files those of a window are taken by their exact times, and in the end all", async () => {
    const dir = await rig.newFolder();
    await mkdir(join(dir, "done"));
    const all = Array.from({ length: 300 }, (_, at) => `f${at + 1000}`);
    await drop(dir, all);
    const { source, gateway, start } = rig.started(dir);
    await start();
    await eventually("all are done", isDone(dir, all.length), 60_000);
    deepEqual(fileNames(gateway), all);
    await source.stop();
  });
});
