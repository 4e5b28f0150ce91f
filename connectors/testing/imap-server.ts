/** A Dovecot for tests: one user, mails in a temporary folder, TLS where certificates are given. */
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PrivateBroker } from "./brokers.ts";

const program = "/usr/sbin/dovecot";
/** Owner of the mails: Dovecot serves no mail of root. */
const nobody = 65_534;

/** The reason why it can't be started, or undefined. */
export const noDovecot = (): string | undefined => {
  if (!existsSync(program)) return `no ${program} to start`;
  return process.getuid?.() === 0 ? undefined : "only root can start dovecot";
};

export interface ImapServer {
  readonly broker: PrivateBroker;
  /** Of the one user; the password has characters that an address encodes. */
  readonly username: "ada@example.com";
  readonly password: "hunter2&co";
  /** `imap://` of the server, without TLS. */
  readonly url: string;
  /** Puts a mail into a mailbox, as a delivery agent does. */
  deliver(mail: string | Uint8Array, mailbox?: string): Promise<void>;
  makeMailbox(mailbox: string): Promise<void>;
  /** Names of the files of a mailbox: a name ends in the mail's flags, `S` for seen. */
  mails(mailbox?: string): Promise<string[]>;
}

export interface ImapServerOptions {
  /** Folder with server.pem and server.key: STARTTLS, and TLS at once on `tlsPort`. */
  readonly certificates?: string;
  readonly tlsPort?: number;
  readonly capabilities?: string;
}

/** Settings for a process that serves nobody else: it runs as root and the users of the Debian package, its mails belong to nobody. */
function settings(dir: string, port: number, { certificates, tlsPort, capabilities }: ImapServerOptions): string {
  const listener = (name: string, number: number, ssl: boolean): string =>
    `  inet_listener ${name} {\n    address = 127.0.0.1\n    port = ${number}\n${ssl ? "    ssl = yes\n" : ""}  }\n`;
  return `protocols = imap
base_dir = ${dir}/run
state_dir = ${dir}/state
log_path = ${dir}/log
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:${dir}/mail:LAYOUT=fs
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
imap_capability = ${capabilities ?? ""}
mailbox_list_index = no
maildir_very_dirty_syncs = no
ssl = ${certificates === undefined ? "no" : "yes"}
${certificates === undefined ? "" : `ssl_cert = <${certificates}/server.pem\nssl_key = <${certificates}/server.key\n`}
passdb {
  driver = static
  args = password=hunter2&co
}
userdb {
  driver = static
  args = uid=${nobody} gid=${nobody} home=${dir}
}
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  chroot =
${listener("imap", port, false)}${listener("imaps", tlsPort ?? 0, true)}}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`;
}

let delivered = 0;

async function makeMailbox(folder: string): Promise<void> {
  for (const path of [folder, ...["tmp", "new", "cur"].map((name) => join(folder, name))]) {
    await mkdir(path, { recursive: true });
    await chown(path, nobody, nobody);
  }
}

export async function imapServer(options: ImapServerOptions = {}): Promise<ImapServer> {
  const broker = await PrivateBroker.start(
    (dir) => [program, "-F", "-c", join(dir, "dovecot.conf")],
    async (dir, port) => {
      await chmod(dir, 0o755); // users without rights serve logins
      for (const name of ["run", "state", "mail"]) await mkdir(join(dir, name));
      await chown(join(dir, "mail"), nobody, nobody);
      await writeFile(join(dir, "dovecot.conf"), settings(dir, port, options));
    },
  );
  const folder = (mailbox: string): string => join(broker.dir, "mail", ...(mailbox === "INBOX" ? [] : [mailbox]));
  const namesIn = async (path: string): Promise<string[]> => await readdir(path).catch(() => []);
  return {
    broker,
    username: "ada@example.com",
    password: "hunter2&co",
    url: `imap://127.0.0.1:${broker.port}`,
    deliver: async (mail, mailbox = "INBOX") => {
      const target = folder(mailbox);
      await makeMailbox(target);
      // Dovecot gives UIDs in the order of names.
      const name = `${1_700_000_000 + ++delivered}.${delivered}.test`;
      await writeFile(join(target, "tmp", name), mail);
      await chown(join(target, "tmp", name), nobody, nobody);
      await rename(join(target, "tmp", name), join(target, "new", name));
    },
    makeMailbox: (mailbox) => makeMailbox(folder(mailbox)),
    mails: async (mailbox = "INBOX") =>
      [...(await namesIn(join(folder(mailbox), "new"))), ...(await namesIn(join(folder(mailbox), "cur")))].sort(),
  };
}
