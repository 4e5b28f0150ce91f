/** Mails of a Dovecot: at least once, moved when done, through cut and stalled connections. */
import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock } from "#base";
import { freePort } from "../../base/testing/free-port.ts";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { SourceContext } from "../../gateway/contract/source.ts";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { type ImapServer, imapServer, noDovecot } from "../testing/imap-server.ts";
import { Proxy } from "../testing/proxy.ts";
import {
  aWhile,
  configured,
  done,
  eventually,
  PretendedGateway,
  random,
  refused,
  startSource,
  testContext,
  toldBy,
} from "../testing/rig.ts";
import { loadClient } from "./client.ts";
import { imapSource, type ImapSourceConfig } from "./source.ts";

const skip = noDovecot();
const patience = { skip, timeout: 180_000 };

const dead = (incoming: Incoming): Outcome => ({
  status: "dead",
  id: incoming.id ?? "",
  failure: { origin: "flow", code: "NO", message: "", status: 0, retry: false },
  kept: true,
});

const plain = (text: string, more = ""): string =>
  `From: Ada <ada@example.com>\r\nSubject: ${text}\r\nMessage-ID: <${text}@example.com>\r\n${more}\r\n${text}\r\n`;
const subjects = ({ received }: PretendedGateway): unknown[] => received.map(({ headers }) => headers["mail-subject"]);

describe("imap: source", patience, () => {
  let server: ImapServer;
  let proxy: Proxy;
  before(async () => {
    server = await imapServer();
    proxy = await Proxy.open(server.broker);
  });
  after(async () => {
    await proxy?.close();
    await server?.broker.remove();
  });

  let mailboxes = 0;
  interface Started {
    readonly mailbox: string;
    readonly more?: object;
    readonly gateway?: PretendedGateway;
    readonly through?: boolean;
  }
  const mailboxOf = (): string => `box${++mailboxes}`;
  const configOf = (mailbox: string, through = false): object => ({
    url: through ? `imap://127.0.0.1:${proxy.port}` : server.url,
    username: server.username,
    password: server.password,
    requireTls: false,
    mailbox,
    done: `${mailbox}-done`,
    failed: `${mailbox}-failed`,
    every: "20ms",
    heartbeat: "400ms",
  });
  const start = ({ mailbox, more = {}, gateway = new PretendedGateway(), through = false }: Started) =>
    startSource(imapSource, { ...configOf(mailbox, through), ...more }, 16, gateway);
  const moved = (mailbox: string, count: number) => async (): Promise<boolean> => (await server.mails(`${mailbox}-done`)).length === count;

  test("unseen mails come in their order, are flagged and moved when done; an attachment is a file of the form", async () => {
    const mailbox = mailboxOf();
    const csv = Buffer.from("sku,qty\r\nlämp,2\r\n");
    const mail = [
      "From: =?utf-8?B?SsO8cmdlbg==?= <jurgen@example.com>",
      'To: "evil@example.com" <orders@example.com>, Team: x@example.com, y@example.com;',
      "Subject: =?utf-8?Q?Bestellung_f=C3=BCr_4711?=",
      "Message-ID: <4711@example.com>",
      "Date: Mon, 02 Mar 2026 10:00:00 +0000",
      "MIME-Version: 1.0",
      'Content-Type: multipart/mixed; boundary="B"',
      "",
      "--B\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe",
      `--B\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename*=utf-8''..%2Fa%22b%0D.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n${csv.toString("base64")}`,
      "--B--\r\n",
    ].join("\r\n");
    await server.deliver(Buffer.from(mail, "latin1"), mailbox);
    await server.deliver(plain("second"), mailbox);
    const { source, gateway } = await start({ mailbox });
    await eventually("both", () => gateway.received.length === 2);
    const [first] = gateway.received;
    const { "mail-received": received, "mail-uid": uid, ...headers } = first?.headers ?? {};
    deepEqual(headers, {
      "mail-from": "jurgen@example.com",
      "mail-from-name": "Jürgen",
      "mail-to": "orders@example.com, x@example.com, y@example.com",
      "mail-subject": "Bestellung für 4711",
      "mail-date": "2026-03-02T10:00:00.000Z",
      "mail-message-id": "<4711@example.com>",
      "mail-mailbox": mailbox,
    });
    match(String(uid), /^\d+-1$/);
    match(String(received), /^2\d{3}-/);
    equal(first?.correlationId, "<4711@example.com>");
    const boundary = /^multipart\/form-data; boundary=(mayfly-[0-9a-f]{40})$/.exec(first?.contentType ?? "")?.[1];
    equal(
      Buffer.from(first?.body ?? []).toString(),
      `--${boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\nGrüße\n\r\n--${boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="a%22b.csv"\r\nContent-Type: text/csv\r\n\r\n${csv}\r\n--${boundary}--\r\n`,
    );
    await eventually("both are moved", moved(mailbox, 2));
    ok(
      (await server.mails(`${mailbox}-done`)).every((name) => /:2,.*S/.test(name)),
      "seen",
    );
    await source.stop();
  });

  test("the server tells of a mail, long before the next look; without done it stays, seen", async () => {
    const mailbox = mailboxOf();
    await server.deliver(plain("old"), mailbox);
    const { source, gateway } = await start({ mailbox, more: { every: "1h", heartbeat: "10s", done: undefined } });
    await eventually("the one that was there", () => gateway.received.length === 1);
    await server.deliver(plain("new"), mailbox);
    await eventually("the one that came", () => gateway.received.length === 2);
    await eventually("both are seen", async () => (await server.mails(mailbox)).filter((name) => /:2,.*S/.test(name)).length === 2);
    await source.stop();
    const next = await start({ mailbox, more: { done: undefined } });
    await aWhile();
    equal(next.gateway.received.length, 0);
    await next.source.stop();
  });

  test("raw is the mail byte for byte, and a long one goes into the body store", async () => {
    const mailbox = mailboxOf();
    const mail = plain("raw", "X: \u00fc\r\n") + "x".repeat(70_000);
    await server.deliver(mail, mailbox);
    const gateway = new PretendedGateway();
    const staged: Buffer[] = [];
    const store = {
      stage: async (pieces: AsyncIterable<Uint8Array>) => {
        const all: Uint8Array[] = [];
        for await (const piece of pieces) all.push(piece);
        staged.push(Buffer.concat(all));
        return { id: "x".repeat(22), bytes: 1, sha256: "", release: () => undefined };
      },
    };
    const longBodies = () => ({ thresholdBytes: 50_000, store }) as unknown as ReturnType<NonNullable<SourceContext["longBodies"]>>;
    const config = configured<ImapSourceConfig>(imapSource, { ...configOf(mailbox), body: "raw" });
    const source = imapSource.create(config, { ...testContext(), longBodies });
    await source.start(gateway.accept);
    await eventually("it came", () => gateway.received.length === 1);
    deepEqual([gateway.received[0]?.contentType, gateway.received[0]?.body.length], ["message/rfc822", 0]);
    equal(staged[0]?.toString(), mail);
    await source.stop();
  });

  test("a mail whose message failed for good goes to failed, unseen; refused ones come again", async () => {
    const mailbox = mailboxOf();
    for (const text of ["bad", "busy", "good"]) await server.deliver(plain(text), mailbox);
    const gateway = new PretendedGateway();
    let refusals = 0;
    gateway.answer = (incoming) => {
      const subject = incoming.headers["mail-subject"];
      if (subject === "bad") return dead(incoming);
      return subject === "busy" && refusals++ < 2 ? refused() : done(incoming);
    };
    const { source } = await start({ mailbox, gateway });
    await eventually("two are done", moved(mailbox, 2));
    const failed = await server.mails(`${mailbox}-failed`);
    ok(failed.length === 1 && !/:2,.*S/.test(failed[0] ?? ""));
    equal(subjects(gateway).filter((subject) => subject === "busy").length, 3);
    await source.stop();
  });

  test("poison: too long, parts without end, a flood of line ends: each goes to failed, and the next is taken", async () => {
    const mailbox = mailboxOf();
    const nested = Array.from({ length: 200 }, (_, at) => `Content-Type: multipart/mixed; boundary=B${at}\r\n\r\n--B${at}\r\n`).join("");
    await server.deliver(plain("long") + "x".repeat(2 ** 20), mailbox);
    await server.deliver(nested, mailbox);
    await server.deliver(`To: ${"a@b, ".repeat(170_000)}\r\n\r\nx`, mailbox); // an ENVELOPE of a million tokens
    await server.deliver("\0\xff\r\n\r\n", mailbox); // no header at all is a mail nevertheless
    await server.deliver(plain("good"), mailbox);
    const { source, gateway, context } = await start({ mailbox, more: { maxSize: "1MiB" } });
    await eventually("the good one", () => subjects(gateway).includes("good"));
    await eventually("two failed", async () => (await server.mails(`${mailbox}-failed`)).length === 2);
    equal(context.counts.get("lost"), undefined, "no mail ends the connection");
    await eventually("three are done", moved(mailbox, 3));
    deepEqual(
      context.lines.filter(({ level }) => level === "error").map(({ fields }) => fields["code"]),
      ["MF_IMAP_LIMIT", "MF_IMAP_MALFORMED"],
    );
    equal(source.health().ready, true);
    await source.stop();
  });

  test("a mailbox that was made again has new mails, whatever their UIDs", async () => {
    const mailbox = mailboxOf();
    await server.deliver(plain("one"), mailbox);
    const first = await start({ mailbox });
    await eventually("it is done", moved(mailbox, 1));
    await first.source.stop();
    await rm(join(server.broker.dir, "mail", mailbox), { recursive: true });
    await server.deliver(plain("other"), mailbox);
    const second = await start({ mailbox });
    await eventually("it came", () => second.gateway.received.length === 1);
    notEqual(second.gateway.received[0]?.id, first.gateway.received[0]?.id);
    await second.source.stop();
  });

  test("nothing is lost through cuts, and what was settled without a connection does not come again", async () => {
    const mailbox = mailboxOf();
    const count = 30;
    for (let at = 0; at < count; at++) await server.deliver(plain(`m${at}`), mailbox);
    const gateway = new PretendedGateway();
    gateway.answer = async (incoming) => {
      if (random.below(6) === 0) proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, random.below(10)));
      return done(incoming);
    };
    const { source } = await start({ mailbox, gateway, through: true });
    await eventually("all are moved", moved(mailbox, count), 60_000);
    equal(new Set(gateway.received.map(({ id }) => id)).size, count);
    deepEqual(
      [...new Set(subjects(gateway))],
      Array.from({ length: count }, (_, at) => `m${at}`),
    );
    equal(gateway.received.length, count, "each once: its outcome was kept over the cut");
    await source.stop();
  });

  test("what was handed over and not settled comes again with the same id after a restart", async () => {
    const mailbox = mailboxOf();
    await server.deliver(plain("one"), mailbox);
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const crashed = await start({ mailbox, gateway });
    await eventually("it came", () => gateway.received.length === 1);
    const next = await start({ mailbox });
    await eventually("it came again", () => next.gateway.received.length === 1);
    equal(next.gateway.received[0]?.id, gateway.received[0]?.id);
    await eventually("it is done", moved(mailbox, 1));
    await next.source.stop();
    gateway.release();
    await eventually("the first says that it is gone", () =>
      crashed.context.lines.some(({ fields }) => fields["code"] === "MF_IMAP_TAKEN"),
    );
    await crashed.source.stop();
  });

  test("away, silent, back: health says so, and a stop does not hang", async () => {
    const mailbox = mailboxOf();
    proxy.refuse(true);
    const { source, gateway } = await start({ mailbox, through: true });
    await eventually(source.health().detail, () => source.health().detail.startsWith("MF_IMAP_UNREACHABLE: "));
    proxy.refuse(false);
    // Without its mailbox it says that, and goes on once it is there.
    await eventually(source.health().detail, () => source.health().detail.startsWith("MF_IMAP_MAILBOX: "));
    await server.deliver(plain("one"), mailbox);
    await eventually("it came", () => gateway.received.length === 1);
    proxy.stall(true);
    await eventually("it notices", () => !source.health().ready);
    proxy.cut();
    proxy.stall(false);
    await server.deliver(plain("two"), mailbox);
    await eventually("it is back", () => gateway.received.length === 2);
    proxy.stall(true);
    await source.stop();
    proxy.stall(false);
  });

  test("paused, it takes nothing; with one place it has one in hand", async () => {
    const mailbox = mailboxOf();
    for (const text of ["a", "b", "c"]) await server.deliver(plain(text), mailbox);
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const config = configured<ImapSourceConfig>(imapSource, configOf(mailbox));
    const source = imapSource.create(config, testContext(1));
    source.pause?.();
    await source.start(gateway.accept);
    await aWhile();
    equal(gateway.received.length, 0);
    source.resume?.();
    for (let at = 1; at <= 3; at++) {
      await eventually(`mail ${at}`, () => gateway.received.length === at);
      gateway.release();
    }
    await eventually("all are done", moved(mailbox, 3));
    equal(gateway.mostAtOnce, 1);
    await source.stop();
  });

  test("a mail that can't be moved is not handed over again, and health says so until it can", async () => {
    const mailbox = mailboxOf();
    await server.deliver(plain("one"), mailbox);
    const gateway = new PretendedGateway();
    gateway.answer = async (incoming) => {
      await rm(join(server.broker.dir, "mail", `${mailbox}-done`), { recursive: true });
      return done(incoming);
    };
    const { source, context } = await start({ mailbox, gateway });
    await eventually("it says so", () => source.health().detail.startsWith("MF_IMAP_MOVE: 1 "));
    equal(gateway.received.length, 1);
    await server.makeMailbox(`${mailbox}-done`);
    await eventually("it is moved", moved(mailbox, 1));
    await eventually("health is well again", () => source.health().ready);
    equal(context.lines.filter(({ fields }) => fields["code"] === "MF_IMAP_MOVE").length, 1);
    equal(gateway.received.length, 1);
    await source.stop();
  });

  test("a mail that trickles is given up, named, and taken by a later look", async () => {
    const mailbox = mailboxOf();
    await server.deliver(plain("slow"), mailbox);
    const gateway = new PretendedGateway();
    // While it is slow, an hour passes with each millisecond for this source: pieces come too late, timers do not.
    let isSlow = true;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * (isSlow ? 3_600_000 : 1) };
    const context = { ...testContext(), clock };
    const source = imapSource.create(configured<ImapSourceConfig>(imapSource, configOf(mailbox)), context);
    await source.start(gateway.accept);
    await eventually(source.health().detail, () => source.health().detail.startsWith("MF_IMAP_READ: 1 mails can't be read"));
    equal(gateway.received.length, 0);
    isSlow = false;
    await eventually("it is done", moved(mailbox, 1));
    equal(source.health().ready, true);
    equal(context.lines.filter(({ fields }) => fields["code"] === "MF_IMAP_READ").length, 1);
    await source.stop();
  });

  test("a wrong password, no STARTTLS, and mailboxes that are one", async () => {
    const config = configOf(mailboxOf());
    await toldBy(imapSource, { ...config, password: "wrong" }, "MF_IMAP_AUTH: ");
    await toldBy(imapSource, { ...config, requireTls: true }, "MF_IMAP_TLS: ");
    await toldBy(imapSource, { ...config, failed: "../x" }, "MF_IMAP_REFUSED: ");
    await rejects(startSource(imapSource, { ...config, failed: (config as { mailbox: string }).mailbox }), { code: "MF_IMAP_PLACE" });
    await rejects(
      startSource(imapSource, { ...config, url: "http://x" }).then(({ source }) => Promise.reject(new Error(source.health().detail))),
      /MF_CONFIG_URL|imaps/,
    );
  });
});

test("imap: TLS at once and by STARTTLS, for whom the authority is known", {
  ...patience,
  skip: skip ?? (installed("openssl") ? undefined : "no openssl"),
}, async () => {
  const { dir } = await makeCertificates();
  const tlsPort = await freePort();
  const server = await imapServer({ certificates: dir, tlsPort });
  try {
    await server.deliver(plain("one"));
    for (const url of [server.url, `imaps://127.0.0.1:${tlsPort}`]) {
      const config = { url, username: server.username, password: server.password, every: "20ms" };
      await toldBy(imapSource, config, "MF_IMAP_TLS: ");
      const context = testContext(16, dir);
      const gateway = new PretendedGateway();
      const source = imapSource.create(configured<ImapSourceConfig>(imapSource, { ...config, tls: { ca: "ca.pem" } }), context);
      await source.start(gateway.accept);
      await eventually(source.health().detail, () => source.health().ready);
      await source.stop();
      ok(!JSON.stringify(context.lines).includes("hunter2"));
    }
  } finally {
    await server.broker.remove();
    await rm(dir, { recursive: true });
  }
});

test("imap: the packages that are missing are named with the command that installs them", async () => {
  const missing = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
  await rejects(
    loadClient(() => Promise.reject(missing)),
    { code: "MF_IMAP_CLIENT", message: /npm install imapflow@2 postal-mime@4/ },
  );
});
