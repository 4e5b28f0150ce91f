/** A NATS server with JetStream that forbids, and takes short messages only. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PrivateBroker } from "./brokers.ts";

const permissions = `
  default_permissions = { publish: { deny: ["$JS.ACK.>", "forbidden.>", "$JS.API.CONSUMER.CREATE.T.>"] }, subscribe: { deny: ["forbidden.>"] } }
  users = [ { user: u, password: p }, { user: admin, password: p, permissions: { publish: ">", subscribe: ">" } } ]`;
/** `u` may neither acknowledge, nor make consumers of the stream T, nor use `forbidden.>`; `admin` may. Both have the password `p`. */
export const strictServer = (): Promise<PrivateBroker> =>
  PrivateBroker.start(
    (dir) => ["nats-server", "-c", join(dir, "nats.conf")],
    (dir, port) =>
      writeFile(
        join(dir, "nats.conf"),
        `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dir}" }\nmax_payload: 65536\nauthorization {${permissions}\n}\n`,
      ),
  );
