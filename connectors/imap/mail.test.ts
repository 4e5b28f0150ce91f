/** Mails taken apart: forms that `msg.form()` can read, whatever a mail says; mails that cost the parser too much. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, test } from "node:test";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { systemClock } from "#base";
import { eventually } from "../testing/rig.ts";
import { imapLimits } from "./limits.ts";
import { formOf, messageIdOf } from "./mail.ts";
import { MailParser } from "./parser.ts";

const parser = new MailParser({ clock: systemClock });
after(() => parser.close());

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Parts of a form, by a reader that knows nothing of the writer. */
async function formData(body: Uint8Array, contentType: string): Promise<FormData> {
  return await new Response(new Uint8Array(body), { headers: { "content-type": contentType } }).formData();
}

test("whatever is attached under whatever name, another reader finds it in the form as it was", async () => {
  const attachment = fc.record({
    filename: fc.oneof(
      fc.constant(null),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom("../../etc/passwd", 'a"; name="text', "a\r\nX: y", "C:\\x.txt", ".."),
    ),
    mimeType: fc.oneof(fc.constantFrom("text/csv", "text/plain\r\nX: y", "a/b; c", "", "IMAGE/PNG"), fc.string({ maxLength: 20 })),
    content: fc.uint8Array({ maxLength: 60 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(attachment, { maxLength: 4 }),
      fc.option(fc.string({ unit: "binary", maxLength: 30 }), { nil: undefined }),
      async (given, text) => {
        const attachments = given.map((each) => ({ ...each, disposition: "attachment", content: each.content.slice().buffer }));
        const { body, contentType } = formOf(
          { headers: [], headerLines: [], text, attachments } as never,
          bytes(JSON.stringify(text ?? "")),
        );
        const form = await formData(body, contentType);
        const files = form.getAll("attachment") as File[];
        equal(files.length, given.length);
        for (const [at, file] of files.entries()) {
          deepEqual(new Uint8Array(await file.arrayBuffer()), given[at]?.content);
          ok(!/[/\\\p{Cc}]/u.test(file.name) && file.name !== "" && file.name !== "..", JSON.stringify(file.name));
          match(file.type, /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/);
        }
        deepEqual(
          [...new Set(form.keys())].every((name) => name === "text" || name === "attachment"),
          true,
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("any bytes are a mail, or say why they can not be taken apart", async () => {
  const piece = fc.constantFrom(
    "Content-Type: multipart/mixed; boundary=B\r\n",
    "\r\n",
    "--B",
    "--B--",
    "=?utf-8?B?",
    "From: a@b",
    "\0",
    "\xff",
    "Content-Transfer-Encoding: base64\r\n",
    "x".repeat(80),
    " ",
    "\t",
    "(",
    '"',
    "message/rfc822",
    ";",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      const raw = Buffer.from(pieces.join(""), "latin1");
      const parsed = await parser.parse(new Uint8Array(raw));
      if ("problem" in parsed) return ok(parsed.problem.length > 0);
      await formData(parsed.form.body, parsed.form.contentType);
      for (const [name, value] of parsed.form.headers) ok(/^mail-[a-z-]+$/.test(name) && value !== "");
    }),
    { numRuns: 200 },
  );
});

test("a mail that costs the parser minutes is given up, while this thread goes on; the next is read", async () => {
  let turns = 0;
  const beat = setInterval(() => turns++, 10);
  // Five million line ends: the parser's time grows with their square.
  const flood = await parser.parse(bytes(`\r\n${"\n".repeat(5_000_000)}`));
  clearInterval(beat);
  ok("problem" in flood && /^it takes (longer than 10 s|more memory)/.test(flood.problem), JSON.stringify(flood));
  ok(turns > 10, `${turns} turns of this thread`);
  const next = await parser.parse(bytes("Subject: next\r\n\r\nhi"));
  ok("form" in next && next.form.headers.some(([name, value]) => name === "mail-subject" && value === "next"));
});

test("bounds: depth, headers, attachments", async () => {
  const nested = Array.from(
    { length: imapLimits.depth + 2 },
    (_, at) => `Content-Type: multipart/mixed; boundary=B${at}\r\n\r\n--B${at}\r\n`,
  ).join("");
  const long = `X: ${"y".repeat(imapLimits.headerBytes)}\r\n\r\nx`;
  const many = `Content-Type: multipart/mixed; boundary=B\r\n\r\n${"--B\r\nContent-Type: a/b\r\n\r\nx\r\n".repeat(imapLimits.attachments + 1)}--B--\r\n`;
  for (const raw of [nested, long, many]) ok("problem" in (await parser.parse(bytes(raw))), raw.slice(0, 40));
});

test("a name in front of an address is no address", async () => {
  const mail = await PostalMime.parse('From: "boss@example.com" <thief@example.net>\r\nTo: a@example.com, B <b@example.com>\r\n\r\nx');
  deepEqual(Object.fromEntries(formOf(mail, bytes("x")).headers), {
    "mail-from": "thief@example.net",
    "mail-from-name": "boss@example.com",
    "mail-to": "a@example.com, b@example.com",
  });
});

test("the Message-ID is that of the headers, folded or not, and none of the body's", () => {
  deepEqual(
    ["Message-ID: <a@b>\r\n\r\nx", "X: y\nmessage-id:\n <c@d>\n\nx", "Subject: x\r\n\r\nMessage-ID: <no>", "Message-ID: \r\n\r\n", ""].map(
      (raw) => messageIdOf(bytes(raw)),
    ),
    ["<a@b>", "<c@d>", undefined, undefined, undefined],
  );
});

test("a parser that was ended between two mails says nothing of the next", async () => {
  const own = new MailParser({ clock: systemClock });
  try {
    const mail = bytes("Subject: a\r\n\r\nhello");
    ok("form" in (await own.parse(mail)));
    const parsers = (): readonly string[] =>
      spawnSync("pgrep", ["-P", String(process.pid), "-f", "parse-process"], { encoding: "utf8" })
        .stdout.trim()
        .split("\n")
        .filter(Boolean);
    for (const pid of parsers()) process.kill(Number(pid), "SIGKILL");
    await eventually("the parser is gone", () => parsers().length === 0);
    ok("form" in (await own.parse(mail)));
  } finally {
    own.close();
  }
});
