/** From a mail at an IMAP server to a flow in its machine: `msg.form()` has the text and the attachment, also after a restart. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve } from "#cli";
import { silentLogger } from "#gateway";
import { type ImapServer, imapServer, noDovecot } from "../connectors/testing/imap-server.ts";
import { eventually } from "../connectors/testing/rig.ts";

const skip = noDovecot();
let folder: string;
let server: ImapServer;

before(async () => {
  if (skip !== undefined) return;
  server = await imapServer();
  folder = await mkdtemp(join(tmpdir(), "mayfly-mail-"));
  await mkdir(join(folder, "out"));
  await writeFile(
    join(folder, "orders.ts"),
    `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to }) => {
  const { fields, files } = msg.form();
  const [file] = files;
  if (String(fields.text).startsWith("bad")) throw new Error("not an order");
  to.out.send({
    from: msg.headers["mail-from"],
    text: fields.text,
    file: file === undefined ? undefined : [file.field, file.name, file.type, await file.text()],
    id: msg.headers["mail-message-id"],
  });
});
`,
  );
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  orders:
    flow: orders.ts
    retry: { attempts: 1 }
    from: [{ imap: { url: "${server.url}", username: ada@example.com, password: "${server.password}", requireTls: false, done: Done, every: 50ms } }]
    to: { out: { file: { dir: out, name: "{id}.json" } } }
`,
  );
});
after(async () => {
  await server?.broker.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test("a mail becomes a message, its attachment a file; one whose flow fails is a dead letter and goes to Failed", {
  skip,
  timeout: 120_000,
}, async () => {
  const mail = (text: string): string =>
    [
      "From: Ada <ada@example.com>",
      `Message-ID: <${text}@example.com>`,
      "Content-Type: multipart/mixed; boundary=B",
      "",
      `--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${text} – bitte`,
      `--B\r\nContent-Type: text/csv; name="order.csv"\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from("lämp,2").toString("base64")}`,
      "--B--\r\n",
    ].join("\r\n");
  await server.deliver(mail("first"));
  await server.deliver(mail("bad"));
  const run = async (count: number): Promise<void> => {
    const serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, logger: { ...silentLogger, child: () => silentLogger } });
    await eventually("they are done", async () => (await server.mails("Done")).length === count, 60_000);
    await serving.stop();
  };
  await run(1);
  equal((await server.mails("Failed")).length, 1);
  await server.deliver(mail("second"));
  await run(2);
  const sent = await Promise.all(
    (await readdir(join(folder, "out"))).map(
      async (name) => JSON.parse(await readFile(join(folder, "out", name), "utf8")) as { id: string },
    ),
  );
  deepEqual(
    sent.sort((a, b) => (a.id < b.id ? -1 : 1)),
    ["first", "second"].map((text) => ({
      from: "ada@example.com",
      text: `${text} – bitte\n`,
      file: ["attachment", "order.csv", "text/csv", "lämp,2"],
      id: `<${text}@example.com>`,
    })),
  );
});
