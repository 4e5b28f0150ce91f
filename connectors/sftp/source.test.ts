/** Files that are taken from a folder of OpenSSH's SFTP server. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { drop, folderCase, names } from "../testing/folder.case.ts";
import { aWhile, eventually, toldBy } from "../testing/rig.ts";
import { noSshd, type SshServer, sshServer } from "../testing/ssh-server.ts";
import { loadClient } from "./client.ts";
import { sftpSource } from "./source.ts";

const skip = noSshd();
const rig = folderCase({
  name: "sftp",
  codes: {
    folder: "MF_SFTP_FOLDER",
    limit: "MF_SFTP_LIMIT",
    move: "MF_SFTP_MOVE",
    takenOver: "MF_SFTP_TAKEN_OVER",
    unreachable: "MF_SFTP_UNREACHABLE",
  },
  skip,
  source: sftpSource,
  open: () => sshServer(),
  pathOf: (dir) => dir,
});
const server = (): SshServer => rig.server as SshServer;
const newFolder = (): Promise<string> => rig.newFolder();
const started = rig.started.bind(rig);

test("without the package the error gives the command", async () => {
  const missing = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
  const { code, message } = (await loadClient(() => Promise.reject(missing)).catch((error: unknown) => error)) as Error & { code: string };
  deepEqual([code, /npm install ssh2@1/.test(message)], ["MF_SFTP_CLIENT", true]);
});

describe("sftp logins", { skip, timeout: 120_000 }, () => {
  test("wrong keys and logins are told by their codes, without a secret", async () => {
    const dir = await newFolder();
    const raw = { ...server().login, dir };
    await toldBy(sftpSource, { ...raw, hostKey: `SHA256:${"A".repeat(43)}` }, "MF_SFTP_HOST_KEY");
    await toldBy(sftpSource, { ...raw, user: "nobody-here" }, "MF_SFTP_AUTH");
    await toldBy(sftpSource, { ...raw, privateKey: "missing.key" }, "MF_SFTP_KEY");
    await toldBy(sftpSource, { ...raw, privateKey: server().lockedKey, passphrase: "wrong" }, "MF_SFTP_KEY");
    await toldBy(sftpSource, { ...raw, privateKey: server().lockedKey }, "MF_SFTP_KEY");
    await toldBy(sftpSource, { ...raw, port: 1 }, "MF_SFTP_UNREACHABLE");
    const { source, start, context } = started(dir, { hostKey: [`SHA256:${"A".repeat(43)}`, `SHA256:${"B".repeat(43)}`] });
    await start();
    match(source.health().detail, new RegExp(server().hostKey.replace(/[+/]/g, "\\$&")));
    await source.stop();
    ok(!JSON.stringify(context.lines).includes("PRIVATE KEY"));
  });

  test("a key with a passphrase, a key as text, a list of host keys and `any` log in", async () => {
    const dir = await newFolder();
    for (const more of [
      { privateKey: server().lockedKey, passphrase: "secret of tests" },
      { privateKey: await readFile(server().key, "utf8") },
      { hostKey: [`SHA256:${"A".repeat(43)}`, server().hostKey] },
      { hostKey: "any" },
    ]) {
      const { source, start } = started(dir, more);
      await start();
      ok(source.health().ready, source.health().detail);
      await source.stop();
    }
  });

  test("files that can't be read are told, and stay", async () => {
    const own = await sshServer("internal-sftp -P read");
    await drop(own.files, ["a", "b"]);
    const { source, gateway, start, context } = started(own.files, own.login);
    await start();
    await eventually("it is told", () => source.health().detail.startsWith("MF_SFTP_READ: 2 files"));
    await aWhile();
    equal(context.lines.filter(({ fields }) => fields["code"] === "MF_SFTP_READ").length, 2, "once each");
    const [instance = ""] = (await names(own.files, ".mayfly")).filter((name) => !name.endsWith(".lease"));
    deepEqual([gateway.received.length, await names(own.files, ".mayfly", instance)], [0, ["a", "b"]]);
    await source.stop();
    await own.broker.remove();
  });
});
