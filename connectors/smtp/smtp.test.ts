import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { smtpOutlet } from "./outlet.ts";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { attemptOf, eventually, outgoing, startOutlet } from "../testing/rig.ts";
import { SmtpServer } from "../testing/smtp-server.ts";

const envelope = { from: "mayfly@example.com", to: "{header.x-mail}", subject: "Order {key}" };

describe("smtp", { timeout: 60_000 }, () => {
  test("a text becomes the mail, anything else an attachment, and both can be recognised", async (context) => {
    const server = await SmtpServer.open();
    context.after(() => server.close());
    const { outlet } = await startOutlet(smtpOutlet, { url: `smtp://127.0.0.1:${server.port}`, ...envelope });
    assert.equal(outlet.health().ready, true);
    const headers = { "x-mail": "a@example.com" };
    const attempt = attemptOf();
    await outlet.send(
      outgoing("Grüße\n.\nEnde", { headers, key: "7", correlationId: "c-1", contentType: "text/plain; charset=utf-8" }),
      attempt,
    );
    await outlet.send(outgoing(`{"id":7}`, { headers, key: "8", contentType: "application/json" }), attemptOf("has spaces"));
    const [text, attached] = server.mails;
    assert.deepEqual([text?.from, text?.to], ["mayfly@example.com", ["a@example.com"]]);
    assert.match(text?.data ?? "", /^Subject: Order 7\r$/m);
    assert.ok(text?.data.includes(`Message-ID: <${attempt.idempotencyKey}@mayfly>`));
    assert.match(text?.data ?? "", /^X-Correlation-Id: c-1\r$/im);
    assert.match(attached?.data ?? "", /application\/json/);
    assert.ok(attached?.data.includes(Buffer.from(`{"id":7}`).toString("base64")));
    assert.match(attached?.data ?? "", /^Message-ID: <[0-9a-f]{64}@mayfly>\r$/m);
    await outlet.stop();
  });

  test("5xx is for good, 4xx is for now, and nobody can be smuggled in", async (context) => {
    const server = await SmtpServer.open();
    context.after(() => server.close());
    server.refusals.set("gone@example.com", "550 no such mailbox");
    server.refusals.set("full@example.com", "452 mailbox full");
    server.refusals.set("first@example.com", "500 the lowest of its class");
    const { outlet } = await startOutlet(smtpOutlet, { url: `smtp://127.0.0.1:${server.port}`, ...envelope });
    const to = (mail: string): Promise<void> => outlet.send(outgoing("x", { key: "1", headers: { "x-mail": mail } }), attemptOf());
    await assert.rejects(to("gone@example.com"), { code: "MF_SMTP_REFUSED", retryable: false, status: 550 });
    await assert.rejects(to("first@example.com"), { code: "MF_SMTP_REFUSED", retryable: false, status: 500 });
    await assert.rejects(to("full@example.com"), { code: "MF_SMTP_LATER", retryable: true, status: 452 });
    for (const mail of [
      "a@example.com, b@example.com",
      "a@example.com\r\nBcc: b@example.com",
      "group: a@example.com;",
      "<a@example.com>",
    ]) {
      await assert.rejects(to(mail), { code: "MF_OUTLET_ADDRESS", retryable: false }, mail);
    }
    assert.equal(server.mails.length, 0);
    await to("fine@example.com");
    await outlet.stop();
  });

  test("an id of any length survives folding, and is the Message-ID if it may be", async (context) => {
    const server = await SmtpServer.open();
    context.after(() => server.close());
    const { outlet } = await startOutlet(smtpOutlet, { url: `smtp://127.0.0.1:${server.port}`, ...envelope });
    const ids = ["x".repeat(200), "x".repeat(201), `${"word ".repeat(40)}end`];
    for (const id of ids) await outlet.send(outgoing("x", { key: "1", headers: { "x-mail": "a@example.com" } }), attemptOf(id));
    const unfolded = server.mails.map(({ data }) => data.replace(/\r\n(?=[ \t])/g, ""));
    assert.deepEqual(
      unfolded.map((data) => /^X-Mayfly-Id: (.*)\r$/im.exec(data)?.[1]?.trim()),
      ids,
    );
    assert.deepEqual(
      unfolded.map((data) => /^Message-ID: <(.*)@mayfly>\r$/im.exec(data)?.[1]?.length),
      [200, 64, 64],
    );
    await outlet.stop();
  });

  test("wrong password and absent server are told and tried again", async (context) => {
    const server = await SmtpServer.open({ login: "u:right" });
    context.after(() => server.close());
    const url = `smtp://u:right@127.0.0.1:${server.port}`;
    const wrong = await startOutlet(smtpOutlet, { url, password: "wrong-password", ...envelope });
    assert.match(wrong.outlet.health().detail, /^MF_SMTP_AUTH: /);
    assert.doesNotMatch(JSON.stringify([wrong.outlet.health(), wrong.context.lines]), /wrong-password/);
    await eventually("it tries again", () => (wrong.context.counts.get("reconnect") ?? 0) > 0);
    await wrong.outlet.stop();
    const right = await startOutlet(smtpOutlet, { url, ...envelope });
    assert.equal(right.outlet.health().ready, true);
    await right.outlet.stop();
    await server.close();
    const absent = await startOutlet(smtpOutlet, { url, ...envelope });
    await assert.rejects(absent.outlet.send(outgoing("x"), attemptOf()), { code: "MF_SMTP_UNREACHABLE", retryable: true });
    await absent.outlet.stop();
  });

  test("STARTTLS with an authority of its own; without it nothing is trusted", {
    skip: installed("openssl") ? false : "no openssl",
  }, async (context) => {
    const { dir } = await makeCertificates();
    const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name), "utf8")));
    const server = await SmtpServer.open({ tls: { cert: cert ?? "", key: key ?? "" } });
    context.after(() => server.close());
    const config = { url: `smtp://127.0.0.1:${server.port}`, ...envelope, requireTls: true };
    const strict = await startOutlet(smtpOutlet, config);
    assert.match(strict.outlet.health().detail, /^MF_SMTP_TLS: /);
    await strict.outlet.stop();
    const trusting = await startOutlet(smtpOutlet, { ...config, tls: { ca: "ca.pem" } }, dir);
    await trusting.outlet.send(outgoing("x", { key: "1", headers: { "x-mail": "a@example.com" } }), attemptOf());
    assert.equal(server.mails[0]?.secure, true);
    await trusting.outlet.stop();
    await rm(dir, { recursive: true });
  });

  test("the certificate must be for the host of the url, or for servername", {
    skip: installed("openssl") ? false : "no openssl",
  }, async (context) => {
    const { dir } = await makeCertificates("DNS:mail.test");
    const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name), "utf8")));
    const server = await SmtpServer.open({ tls: { cert: cert ?? "", key: key ?? "" } });
    context.after(() => server.close());
    const config = { url: `smtp://127.0.0.1:${server.port}`, ...envelope, requireTls: true };
    for (const more of [{}, { servername: "localhost" }]) {
      const refused = await startOutlet(smtpOutlet, { ...config, tls: { ca: "ca.pem", ...more } }, dir);
      assert.match(refused.outlet.health().detail, /^MF_SMTP_TLS: /);
      await refused.outlet.stop();
    }
    const right = await startOutlet(smtpOutlet, { ...config, tls: { ca: "ca.pem", servername: "mail.test" } }, dir);
    assert.equal(right.outlet.health().ready, true, right.outlet.health().detail);
    await right.outlet.stop();
    await rm(dir, { recursive: true });
  });
});
