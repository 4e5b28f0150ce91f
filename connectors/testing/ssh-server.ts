/** OpenSSH's server for tests: it takes the key `user` in its folder, and gives access to files as the user who runs the test. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { PrivateBroker } from "./brokers.ts";

const program = "/usr/sbin/sshd";

/** The reason why it can't be started, or undefined. */
export const noSshd = (): string | undefined => (existsSync(program) ? undefined : `no ${program} to start`);

export interface SshServer {
  readonly broker: PrivateBroker;
  /** Folder of the test's files. */
  readonly files: string;
  /** File of the private key that logs in; the one in `lockedKey` has the passphrase `secret of tests`. */
  readonly key: string;
  readonly lockedKey: string;
  readonly hostKey: string;
  /** Options of a connector: the server, its key and the login. */
  readonly login: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly privateKey: string;
    readonly hostKey: string;
  };
}

/** `subsystem`: command of the SFTP server. */
export async function sshServer(subsystem = "internal-sftp"): Promise<SshServer> {
  const broker = await PrivateBroker.start(
    (dir) => [program, "-D", "-e", "-f", join(dir, "sshd_config")],
    async (dir, port) => {
      if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true }); // where the daemon of root separates its privileges
      await mkdir(join(dir, "files"));
      const generate = (name: string, passphrase: string): unknown =>
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", join(dir, name)]);
      generate("host", "");
      generate("user", "");
      generate("locked", "secret of tests");
      const keys = await Promise.all(["user.pub", "locked.pub"].map((name) => readFile(join(dir, name), "utf8")));
      await writeFile(join(dir, "authorized"), keys.join(""));
      const lines = [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${join(dir, "host")}`,
        `AuthorizedKeysFile ${join(dir, "authorized")}`,
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "MaxStartups 100:30:200",
        "LogLevel ERROR",
        `Subsystem sftp ${subsystem}`,
      ];
      await writeFile(join(dir, "sshd_config"), `${lines.join("\n")}\n`);
    },
  );
  const key = join(broker.dir, "user");
  const [, base64 = ""] = (await readFile(join(broker.dir, "host.pub"), "utf8")).split(" ");
  const hostKey = `SHA256:${createHash("sha256").update(Buffer.from(base64, "base64")).digest("base64").replace(/=+$/, "")}`;
  const login = { host: "127.0.0.1", port: broker.port, user: userInfo().username, privateKey: key, hostKey };
  return { broker, files: join(broker.dir, "files"), key, lockedKey: join(broker.dir, "locked"), hostKey, login };
}
