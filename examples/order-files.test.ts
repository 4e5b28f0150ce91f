/** Order files from a real SFTP server through a real Kafka into a real MariaDB, with one order that nobody can book. */
import { deepEqual, equal, match } from "node:assert/strict";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createPool, type Pool, type RowDataPacket } from "mysql2/promise";
import { capture, packageRoot } from "#cli";
import type { DeadLetter } from "#gateway";
import type { PrivateBroker } from "../connectors/testing/brokers.ts";
import { type KafkaServer, kafkaServer, kafkaUser, noKafka } from "../connectors/testing/kafka-server.ts";
import { privateMysql } from "../connectors/testing/mysql-server.ts";
import { noSshd, type SshServer, sshServer } from "../connectors/testing/ssh-server.ts";
import { eventually, type ServedExample, serveExample } from "./testing.ts";

const source = join(packageRoot, "examples/order-files");
const database = noSshd() === undefined && noKafka() === undefined ? await privateMysql() : "not started";
const skip = noSshd() ?? noKafka() ?? (typeof database === "string" ? database : false);

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", source]);
  equal(code, 0, out);
});

describe("order files", { skip, timeout: 180_000 }, () => {
  let ssh: SshServer;
  let kafka: KafkaServer;
  let table: Pool;
  let environment: Readonly<Record<string, string>>;
  let example: ServedExample;

  before(async () => {
    ssh = await sshServer();
    kafka = await kafkaServer();
    const { port } = database as PrivateBroker;
    table = createPool({ host: "127.0.0.1", port, user: "root", database: "test" });
    await table.query(await readFile(join(source, "schema.sql"), "utf8"));
    const { host, port: sshPort, user, privateKey, hostKey } = ssh.login;
    environment = {
      SFTP_HOST: host,
      SFTP_PORT: `${sshPort}`,
      SFTP_USER: user,
      SFTP_KEY: privateKey,
      SFTP_HOST_KEY: hostKey,
      SFTP_DIR: join(ssh.files, "orders"),
      KAFKA_BROKER: `127.0.0.1:${kafka.directPort}`,
      KAFKA_USER: kafkaUser.username,
      KAFKA_PASSWORD: kafkaUser.password,
      MYSQL_URL: `mysql://root@127.0.0.1:${port}/test`,
    };
    await mkdir(join(ssh.files, "orders"));
    example = await serveExample("order-files", environment);
  });
  after(async () => {
    await example?.stop();
    await table?.end();
    await Promise.all([ssh?.broker.remove(), kafka?.broker.remove(), (database as PrivateBroker).remove()]);
  });

  const booked = async (): Promise<readonly (readonly [number: string, cents: number])[]> => {
    const [rows] = await table.query<RowDataPacket[]>("select number, cents from orders order by booked, number");
    return rows.map((row) => [row["number"] as string, row["cents"] as number]);
  };
  const mayfly = async (...command: readonly string[]): Promise<string> => {
    const { code, out, err } = await capture([...command, "-c", join(example.folder, "mayfly.yaml")], { env: environment });
    equal(code, 0, `${out}${err}`);
    return out;
  };

  const letters = async (): Promise<readonly DeadLetter[]> => JSON.parse(await mayfly("dlq", "ls", "--json")) as DeadLetter[];

  test("good orders are booked; the poisoned one holds back its customer's next, until it is corrected and retried", async () => {
    await copyFile(join(source, "samples/orders.csv"), join(ssh.files, "orders/orders.csv"));
    await eventually("the orders beside the poisoned one", async () => ((await booked()).length >= 2 ? true : undefined));
    const letter = await eventually("the dead letter", async () => {
      return (await letters())[0];
    });
    deepEqual([letter.failure.code, letter.key, letter.holds], ["ORDER_INVALID", "ada", true]);
    match(letter.failure.message, /order A-2: "12,50" is not an amount/);
    deepEqual(new Map(await booked()), new Map([["A-1", 1990], ["B-1", 10000]])); // biome-ignore format: rows

    const corrected = join(example.folder, "order.json");
    await writeFile(corrected, JSON.stringify({ number: "A-2", customer: "ada", amount: "12.50" }));
    await mayfly("dlq", "retry", letter.id, "--edit", corrected);
    const all = await eventually("all orders", async () => ((await booked()).length >= 4 ? await booked() : undefined));
    deepEqual(
      all.filter(([number]) => number.startsWith("A")),
      [["A-1", 1990], ["A-2", 1250], ["A-3", 700]], // biome-ignore format: rows
    );
    deepEqual(await letters(), []);
    deepEqual(
      await eventually("the file in done/", async () => {
        const found = await readdir(join(ssh.files, "orders/done")).catch(() => []);
        return found.length > 0 ? found.map((name) => name.replace(/.*(orders\.csv)$/, "$1")) : undefined;
      }),
      ["orders.csv"],
    );
  });
});
