/** Debian's vsftpd for tests: it takes one password, and gives access to a folder as the user `ftp`. */
import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PrivateBroker } from "./brokers.ts";
import { makeCertificates } from "./certificates.ts";

const program = "/usr/sbin/vsftpd";

/** The reason why it can't be started, or undefined. */
export const noVsftpd = (): string | undefined => {
  if (!existsSync(program)) return `no ${program} to start`;
  return process.getuid?.() === 0 ? undefined : "only root can start vsftpd";
};

export interface FtpServer {
  readonly broker: PrivateBroker;
  /** Folder of the test's files, as the test sees it; to a client it is `/files`. What a test puts there must be writable for all. */
  readonly files: string;
  readonly login: { readonly host: string; readonly port: number; readonly user: string; readonly password: string; readonly tls?: object };
}

export interface FtpServerOptions {
  /** Folder with server.pem and server.key: TLS is required, also of the data connections, which have to continue its session. */
  readonly certificates?: string;
  readonly implicit?: boolean;
  readonly more?: readonly string[];
}

/** The user is the anonymous one, with a list of passwords: another would need an account of this machine. */
export async function ftpServer({ certificates, implicit = false, more = [] }: FtpServerOptions = {}): Promise<FtpServer> {
  const password = "hunter2&co";
  const broker = await PrivateBroker.start(
    (dir) => [program, join(dir, "vsftpd.conf")],
    async (dir, port) => {
      await mkdir("/var/run/vsftpd/empty", { recursive: true }); // the folder of processes without rights
      await mkdir(join(dir, "root", "files"), { recursive: true });
      await chmod(join(dir, "root"), 0o755); // the server refuses a login whose own folder it could write
      await chmod(join(dir, "root", "files"), 0o777);
      await writeFile(join(dir, "passwords"), `${password}\n`);
      const tls = [
        "ssl_enable=YES",
        `rsa_cert_file=${certificates}/server.pem`,
        `rsa_private_key_file=${certificates}/server.key`,
        "allow_anon_ssl=YES",
        "force_anon_logins_ssl=YES",
        "force_anon_data_ssl=YES",
        "require_ssl_reuse=YES",
        "ssl_ciphers=HIGH",
        `implicit_ssl=${implicit ? "YES" : "NO"}`,
      ];
      const lines = [
        "listen=YES",
        "listen_address=127.0.0.1",
        `listen_port=${port}`,
        "background=NO",
        "anonymous_enable=YES",
        "local_enable=NO",
        "write_enable=YES",
        "ftp_username=ftp", // it serves no files as root
        `anon_root=${join(dir, "root")}`,
        "secure_email_list_enable=YES",
        `email_password_file=${join(dir, "passwords")}`,
        "anon_upload_enable=YES",
        "anon_mkdir_write_enable=YES",
        "anon_other_write_enable=YES",
        "anon_world_readable_only=NO",
        "anon_umask=022",
        "chown_uploads=NO",
        "seccomp_sandbox=NO",
        "delay_failed_login=0",
        "max_login_fails=1",
        "xferlog_enable=NO",
        ...(certificates === undefined ? [] : tls),
        ...more,
      ];
      await writeFile(join(dir, "vsftpd.conf"), `${lines.join("\n")}\n`);
    },
  );
  return {
    broker,
    files: join(broker.dir, "root", "files"),
    login: { host: "127.0.0.1", port: broker.port, user: "anonymous", password },
  };
}

/** A server with TLS whose authority the login names. `made` gets the folder of its certificates, to be removed at the end. */
export async function trustedFtpServer(made: string[], options: FtpServerOptions = {}): Promise<FtpServer> {
  const { dir } = await makeCertificates();
  made.push(dir);
  const server = await ftpServer({ certificates: dir, ...options });
  return { ...server, login: { ...server.login, tls: { ca: join(dir, "ca.pem") } } };
}
