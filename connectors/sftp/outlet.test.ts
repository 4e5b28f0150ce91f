/** Files that are written to OpenSSH's SFTP server, and read by requests. */
import { deepEqual, ok } from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import ssh2 from "ssh2";
import { folderOutletCase } from "../testing/folder-outlet.case.ts";
import { attemptOf, outgoing, startOutlet, withFolder } from "../testing/rig.ts";
import { noSshd, sshServer } from "../testing/ssh-server.ts";
import { sftpOutlet, type SftpOutletConfig } from "./outlet.ts";

const skip = noSshd();

folderOutletCase({
  name: "sftp",
  codes: { method: "MF_SFTP_METHOD", name: "MF_SFTP_NAME", noFile: "MF_SFTP_NO_FILE", write: "MF_SFTP_WRITE" },
  skip,
  outlet: sftpOutlet,
  open: () => sshServer(),
  pathOf: (dir) => dir,
  listsTimes: true,
});

test("a server without posix-rename and fsync gets the file too, over an existing one", { skip, timeout: 120_000 }, async () => {
  const plain = await sshServer("internal-sftp -P posix-rename,fsync");
  const { outlet } = await startOutlet<SftpOutletConfig>(sftpOutlet, { ...plain.login, dir: plain.files, name: "a" });
  await outlet.send(outgoing("1"), attemptOf());
  await outlet.send(outgoing("2"), attemptOf());
  deepEqual([await readdir(plain.files), await readFile(join(plain.files, "a"), "utf8")], [["a"], "2"]);
  await outlet.stop();
  await plain.broker.remove();
});

/** The one server that takes passwords here: ssh2's own, as OpenSSH needs a user with one. */
test("passwords log in, also where the server asks for them interactively; a wrong one is MF_SFTP_AUTH, not in the log", async () => {
  await withFolder(async () => {
    const { private: key } = ssh2.utils.generateKeyPairSync("ed25519");
    for (const method of ["password", "keyboard-interactive"] as const) {
      const peer = new ssh2.Server({ hostKeys: [key] }, (client) => {
        client.on("error", () => {});
        client.on("authentication", (login) => {
          if (login.method !== method) return login.reject([method]);
          if (login.method === "password") return login.password === "right one" ? login.accept() : login.reject();
          if (login.method === "keyboard-interactive")
            login.prompt([{ prompt: "Password:", echo: false }], ([answer]) => (answer === "right one" ? login.accept() : login.reject()));
        });
        client.on("session", (accept) =>
          accept().on("sftp", (acceptSftp) => {
            const sftp = acceptSftp();
            const folder = (id: number): void => sftp.attrs(id, { mode: 0o040_755, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 });
            sftp.on("STAT", folder).on("LSTAT", folder);
          }),
        );
      });
      await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
      const { port } = peer.address() as AddressInfo;
      for (const [password, ready] of [
        ["right one", true],
        ["wrong one", false],
      ] as const) {
        const raw = { host: "127.0.0.1", port, user: "ada", password, hostKey: "any", dir: "x" };
        const { outlet, context } = await startOutlet<SftpOutletConfig>(sftpOutlet, raw);
        const { detail } = outlet.health();
        deepEqual([outlet.health().ready, detail.startsWith("MF_SFTP_AUTH")], [ready, !ready], `${method}: ${detail}`);
        ok(!JSON.stringify([context.lines, detail]).includes(password));
        await outlet.stop();
      }
      await new Promise<void>((resolve) => peer.close(() => resolve()));
    }
  });
});
