import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { noS3, s3Login, s3Server } from "../testing/s3-server.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { TlsFront } from "../testing/tls-front.ts";
import { s3Outlet } from "./outlet.ts";

tlsCase({
  name: "s3",
  skip: noS3(),
  outlet: s3Outlet,
  open: async (certificates) => {
    const server = await s3Server();
    await mkdir(join(server.dir, "data", "bucket"));
    const front = await TlsFront.open(server, certificates, false);
    return {
      port: front.port,
      async remove() {
        await front.remove();
        await server.remove();
      },
    };
  },
  config: (port) => ({ endpoint: `https://127.0.0.1:${port}`, bucket: "bucket", ...s3Login }),
  code: "MF_S3_TLS",
});
