/** A certificate authority for one test, made by the openssl program. */
import { spawnSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificates {
  /** Folder with ca.pem, server.pem, server.key, client.pem, client.key. */
  readonly dir: string;
}

/** A server certificate for `names`, and a client's, both signed by one authority. */
export async function makeCertificates(names = "IP:127.0.0.1,DNS:localhost"): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-tls-"));
  const openssl = (...words: readonly string[]): void => {
    const { status, stderr } = spawnSync("openssl", words, { cwd: dir });
    if (status !== 0) throw new Error(`openssl ${words[0]}: ${String(stderr)}`);
  };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2");
  await writeFile(join(dir, "names"), `subjectAltName=${names}\n`);
  for (const name of ["server", "client"]) {
    openssl("req", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-out",
      `${name}.pem`,
      "-days",
      "2",
      "-extfile",
      "names",
    );
  }
  return { dir };
}
