/** Files that are written to OpenSSH's SFTP server, and read by requests. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import ssh2 from "ssh2";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import { attempt, message } from "../testing/messages.ts";
import { Proxy } from "../testing/proxy.ts";
import { attemptOf, eventually, outgoing, startOutlet, testContext, uniqueName, withFolder } from "../testing/rig.ts";
import { noSshd, type SshServer, sshServer } from "../testing/ssh-server.ts";
import { sftpOutlet, type SftpOutletConfig } from "./outlet.ts";

const skip = noSshd();
let server: SshServer;

before(async () => {
  if (skip === undefined) server = await sshServer();
});
after(async () => {
  if (skip === undefined) await server.broker.remove();
});

const newFolder = (): string => join(server.files, uniqueName("dir"));
const start = (dir: string, more: object = {}) => startOutlet<SftpOutletConfig>(sftpOutlet, { ...server.login, dir, ...more });
const asked = (path: string | undefined, method: string) => ({
  ...outgoing("", { headers: path === undefined ? {} : { ":path": path } }),
  method,
});
const jsonOf = ({ body }: { readonly body: Uint8Array }): unknown => JSON.parse(Buffer.from(body).toString());

describe("sftp outlet", { skip, timeout: 120_000 }, () => {
  test("a file is written whole under its template's name; a second attempt replaces it; nothing is left over", async () => {
    const dir = newFolder();
    const { outlet } = await start(dir, { name: "{date}/{header:x-a}-{key}-{id}.json" });
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: Buffer.from("again") }, { ...attempt, attempt: 2 });
    const [name = "", ...more] = await readdir(join(dir, "2026-11-23"));
    deepEqual(more, []);
    equal(await readFile(join(dir, "2026-11-23", name), "utf8"), "again");
    deepEqual(await readdir(dir), ["2026-11-23"], "values of a message lead nowhere else");
    await outlet.stop();
  });

  test("a server without posix-rename and fsync gets the file too, over an existing one", async () => {
    const plain = await sshServer("internal-sftp -P posix-rename,fsync");
    const { outlet } = await startOutlet<SftpOutletConfig>(sftpOutlet, { ...plain.login, dir: plain.files, name: "a" });
    await outlet.send(outgoing("1"), attemptOf());
    await outlet.send(outgoing("2"), attemptOf());
    deepEqual([await readdir(plain.files), await readFile(join(plain.files, "a"), "utf8")], [["a"], "2"]);
    await outlet.stop();
    await plain.broker.remove();
  });

  test("a stored body is streamed; cut in its middle there is no half file, and the next attempt writes it", async () => {
    const dir = newFolder();
    const proxy = await Proxy.open(server.broker);
    const { outlet } = await start(dir, { port: proxy.port, name: "long" });
    equal(outlet.streams, true);
    const piece = Buffer.alloc(2 ** 20, "0123456789abcdef\n");
    let cut = true;
    const open = (): Readable =>
      Readable.from(
        (function* () {
          for (let at = 0; at < 24; at += 1) {
            if (at === 12 && cut) proxy.cut();
            yield piece;
          }
        })(),
      );
    const long = { ...message, body: new Uint8Array(), storedBody: { id: "x", bytes: 24 * 2 ** 20, sha256: "", open } };
    await rejects(outlet.send(long, attemptOf()), { retryable: true });
    ok(!(await readdir(dir)).includes("long"));
    cut = false;
    await eventually("it is connected again", () => outlet.health().ready);
    await outlet.send(long, attemptOf());
    const sum = createHash("sha256");
    for (let at = 0; at < 24; at += 1) sum.update(piece);
    equal(
      createHash("sha256")
        .update(await readFile(join(dir, "long")))
        .digest("hex"),
      sum.digest("hex"),
    );
    await outlet.stop();
    await proxy.close();
  });

  test("appended sends are lines, whole ones, also after one that was cut short", async () => {
    const dir = newFolder();
    await mkdir(join(dir, "orders"), { recursive: true });
    await writeFile(join(dir, "orders/all.jsonl"), "cut sho");
    const { outlet } = await start(dir, { name: "{flow}/all.jsonl", append: true });
    const lines = Array.from({ length: 12 }, (_, at) => String(at % 10).repeat(100_000 + at));
    await Promise.all(lines.map((line) => outlet.send({ ...message, body: Buffer.from(line) }, attemptOf())));
    const written = (await readFile(join(dir, "orders/all.jsonl"), "utf8")).split("\n");
    deepEqual(written, ["cut sho", ...lines, ""]);
    await outlet.stop();
  });

  test("list, get and exists answer; no path leads out of the folder", async () => {
    const dir = newFolder();
    await mkdir(join(dir, "sub/inner"), { recursive: true });
    await writeFile(join(dir, "sub/a.csv"), "1,2\n");
    await writeFile(join(dir, "sub/.hidden"), "");
    await writeFile(join(dir, "empty"), "");
    await symlink("nowhere", join(dir, "sub/link"));
    await writeFile(join(dir, "big"), Buffer.alloc(gatewayLimits.answerBytes + 1));
    const { outlet } = await start(dir);
    const ask = (path: string | undefined, method: string) =>
      outlet.request?.(asked(path, method), attemptOf()) ?? Promise.reject(new Error());
    const entries = jsonOf(await ask("sub", "LIST")) as { name: string; kind: string; size: number; time: string }[];
    deepEqual(
      entries.map(({ name, kind }) => [name, kind]),
      [
        ["a.csv", "file"],
        ["inner", "folder"],
        ["link", "other"],
      ],
    );
    deepEqual([entries[0]?.size, Number.isNaN(Date.parse(entries[0]?.time ?? ""))], [4, false]);
    equal((jsonOf(await ask(undefined, "list")) as unknown[]).length, 3);
    const got = await ask("sub/a.csv", "get");
    deepEqual([Buffer.from(got.body).toString(), got.contentType, got.headers["mayfly-file-size"]], ["1,2\n", "text/csv", "4"]);
    equal((await ask("empty", "get")).body.length, 0);
    deepEqual(jsonOf(await ask("sub/none", "exists")), { exists: false });
    equal((jsonOf(await ask("sub", "exists")) as { kind: string }).kind, "folder");
    for (const path of ["../x", "sub/../../x", "/etc/passwd", "a//b", "a\0", ".", "sub/.", ""])
      await rejects(ask(path, "get"), { code: "MF_PATH_REFUSED", retryable: false }, path);
    await rejects(ask("none", "get"), { code: "MF_SFTP_NO_FILE", retryable: false });
    await rejects(ask("none", "list"), { code: "MF_SFTP_NO_FILE", retryable: false });
    await rejects(ask("big", "get"), { code: "MF_ANSWER_LIMIT", retryable: false });
    await rejects(ask("empty", "put"), { code: "MF_SFTP_METHOD", retryable: false });
    await outlet.stop();
  });

  test("what the server refuses is an error that is tried again", async () => {
    const dir = newFolder();
    const { outlet } = await start(dir, { name: "a/b" });
    await writeFile(join(dir, "a"), "a file where the folder should be");
    await rejects(outlet.send(message, attempt), { code: "MF_SFTP_WRITE", retryable: true });
    await outlet.stop();
  });
});

test("a name that leads out of the folder is told at the start", () => {
  for (const name of ["../{id}", "/a", "{nonsense}"])
    throws(() => sftpOutlet.create({ name } as SftpOutletConfig, testContext()), { code: "MF_SFTP_NAME" });
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
