/** Files that are written to Debian's vsftpd with TLS, and read by requests. */
import { rejects } from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, test } from "node:test";
import { installed } from "../testing/brokers.ts";
import { folderOutletCase } from "../testing/folder-outlet.case.ts";
import { ftpServer, noVsftpd, trustedFtpServer } from "../testing/ftp-server.ts";
import { attemptOf, outgoing, startOutlet } from "../testing/rig.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { ftpOutlet, type FtpOutletConfig } from "./outlet.ts";

const skip = installed("openssl") ? noVsftpd() : "no openssl";
process.umask(0); // the server's user works in the folders that a test makes
const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

const open = () => trustedFtpServer(folders);

folderOutletCase({
  name: "ftp",
  codes: { method: "MF_FTP_METHOD", name: "MF_FTP_NAME", noFile: "MF_FTP_NO_FILE", write: "MF_FTP_WRITE" },
  skip,
  outlet: ftpOutlet,
  open,
  pathOf: (dir, { files }) => `/files${dir.slice(files.length)}`,
  listsTimes: false,
});

tlsCase({
  name: "ftp",
  skip,
  outlet: ftpOutlet,
  open: async (dir) => {
    const more = ["ssl_request_cert=YES", "require_cert=YES", "validate_cert=YES", `ca_certs_file=${dir}/ca.pem`];
    const { broker } = await ftpServer({ certificates: dir, more });
    return { port: broker.port, remove: () => broker.remove() };
  },
  config: (port) => ({ host: "127.0.0.1", port, user: "anonymous", password: "hunter2&co", dir: "/files" }),
  code: "MF_FTP_TLS",
});

test("a path with a line break is no command", { skip, timeout: 60_000 }, async () => {
  const server = await open();
  const { outlet } = await startOutlet<FtpOutletConfig>(ftpOutlet, { ...server.login, dir: "/files" });
  for (const path of ["x\r\nDELE empty", "x\n"]) {
    const asked = { ...outgoing("", { headers: { ":path": path } }), method: "get" };
    await rejects(async () => await outlet.request?.(asked, attemptOf()), { code: "MF_PATH_REFUSED", retryable: false }, path);
  }
  await outlet.stop();
  await server.broker.remove();
});
