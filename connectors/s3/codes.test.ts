/** Codes for what a server says, and for what it does not; its answers are written here, since a real one is hard to bring to each. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { withPeer } from "../testing/http-peer.ts";
import { attempt, message } from "../testing/messages.ts";
import { eventually, startOutlet, startSource } from "../testing/rig.ts";
import { s3Login } from "../testing/s3-server.ts";
import { s3Limits } from "./limits.ts";
import { s3Outlet } from "./outlet.ts";
import { s3Source } from "./source.ts";

const errorText = (code: string): string => `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>told</Message></Error>`;
const listing = (...keys: readonly string[]): string =>
  `<ListBucketResult>${keys.map((key) => `<Contents><Key>${key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>`).join("")}</ListBucketResult>`;

test("refusals of a send: what can mend itself is tried again, a wrong request is not", async () => {
  for (const [status, code, told, retryable] of [
    [403, "AccessDenied", "MF_S3_FORBIDDEN", true],
    [403, "RequestTimeTooSkewed", "MF_S3_AUTH", true],
    [301, "PermanentRedirect", "MF_S3_REGION", true],
    [503, "SlowDown", "MF_S3_UNAVAILABLE", true],
    [500, "", "MF_S3_UNAVAILABLE", true],
    [400, "RequestTimeout", "MF_S3_UNAVAILABLE", true],
    [400, "EntityTooLarge", "MF_S3_FAILED", false],
  ] as const)
    await withPeer(
      ({ method }, response) => {
        if (method === "GET") return void response.end(listing());
        response.writeHead(status, { "retry-after": "7" }).end(code === "" ? "no xml <" : errorText(code));
      },
      async (endpoint) => {
        const { outlet } = await startOutlet(s3Outlet, { endpoint, bucket: "b-1", ...s3Login });
        const error = (await outlet.send(message, attempt).catch((cause: unknown) => cause)) as Record<string, unknown>;
        deepEqual([error["code"], error["retryable"], error["status"], error["retryAfterMs"]], [told, retryable, status, 7_000]);
        await outlet.stop();
      },
    );
});

test("a copy or an upload that fails behind the status 200 has failed", async () => {
  let copies = 0;
  await withPeer(
    ({ method, url = "" }, response) => {
      if (method === "GET" && url.includes("list-type")) return void response.end(listing("in/a"));
      if (method === "GET") return void response.end("x");
      if (method === "HEAD") return void response.writeHead(404).end();
      copies += 1;
      response.end(errorText("InternalError"));
    },
    async (endpoint) => {
      const { source, gateway } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "10ms", prefix: "in/", ...s3Login });
      await eventually("it is tried again", () => copies > 2 && source.health().detail.startsWith("MF_S3_MOVE"));
      equal(gateway.received.length, 1, "it is handed over once");
      await source.stop();
    },
  );
});

test("an object that can't be read, and one that has ten tags", async () => {
  const tags = Array.from({ length: 10 }, (_, at) => `<Tag><Key>${at}</Key><Value>v</Value></Tag>`).join("");
  let readable = false;
  await withPeer(
    ({ method, url = "" }, response) => {
      if (url.includes("list-type")) return void response.end(listing("a"));
      if (url.includes("tagging")) return void response.end(`<Tagging><TagSet>${tags}</TagSet></Tagging>`);
      if (method === "HEAD") return void response.writeHead(200, { etag: '"e"' }).end();
      if (!readable) return void response.writeHead(409).end(errorText("InvalidObjectState"));
      response.end("x");
    },
    async (endpoint) => {
      const { source, gateway, context } = await startSource(s3Source, {
        endpoint,
        bucket: "b-1",
        every: "10ms",
        after: "tag",
        ...s3Login,
      });
      await eventually("it is told", () => source.health().detail.startsWith("MF_S3_READ"));
      equal(gateway.received.length, 0);
      readable = true;
      await eventually("it is read, and can't be tagged", () => source.health().detail.startsWith("MF_S3_MOVE"));
      match(JSON.stringify(context.lines), /the most there can be/); // the text of MF_S3_TAGS
      await source.stop();
    },
  );
});

test("a peer that is no S3 server, one that answers without end, and one that says nothing", async () => {
  const huge = Buffer.alloc(2 ** 20, "<");
  for (const answer of ["hello", "<a/>", "<ListBucketResult><Contents>", huge])
    await withPeer(
      ({ url = "" }, response) => {
        if (url.includes("max-keys=1&")) return void response.end(listing());
        if (typeof answer === "string") return void response.end(answer);
        const more = (): void => void (response.destroyed || response.write(answer, () => setImmediate(more)));
        more();
      },
      async (endpoint) => {
        const { source } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "10ms", ...s3Login });
        await eventually(`it is told of ${String(answer).slice(0, 9)}`, () => source.health().detail.startsWith("MF_S3_UNREACHABLE"));
        await source.stop();
      },
    );
  await withPeer(
    () => {},
    async (endpoint) => {
      const { source } = await startSource(s3Source, { endpoint, bucket: "b-1", timeout: "50ms", ...s3Login });
      await eventually("the silence is told", () => /`timeout`/.test(source.health().detail));
      await source.stop();
    },
  );
  await withPeer(
    ({ url = "" }, response) => void (url.includes("list-type") && response.end(listing())),
    async (endpoint) => {
      const { outlet } = await startOutlet(s3Outlet, { endpoint, bucket: "b-1", ...s3Login });
      await rejects(outlet.send(message, { ...attempt, signal: AbortSignal.timeout(50) }), { retryable: true });
      await outlet.stop();
    },
  );
});

test("an object is read as the version that was listed, and a newer one is not deleted", async () => {
  const seen: string[] = [];
  await withPeer(
    ({ method = "", url = "", headers }, response) => {
      if (url.includes("list-type")) return void response.end(listing("a"));
      seen.push(`${method} ${headers["if-match"] ?? ""}`);
      response.writeHead(200, { etag: '"newer"' }).end(method === "GET" ? "x" : "");
    },
    async (endpoint) => {
      const { source, context } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "1h", after: "delete", ...s3Login });
      await eventually("it has ended", () => context.counts.get("changed") === 1);
      deepEqual(seen, ['GET "e"', "HEAD "]);
      await source.stop();
    },
  );
});

test("an object that is longer or shorter than its listing says is told, and holds up no other", async () => {
  let sessions = 0;
  await withPeer(
    ({ url = "" }, response) => {
      if (url.includes("max-keys=1&")) sessions += 1;
      if (url.includes("list-type")) return void response.end(listing("a-long", "b-empty", "c"));
      if (url.includes("a-long")) for (const piece of ["x", "yy", "zz"]) response.write(piece);
      response.end(url.endsWith("/c") ? "x" : "");
    },
    async (endpoint) => {
      const { source, gateway, context } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "10ms", ...s3Login });
      await eventually("it is told", () => source.health().detail.startsWith("MF_S3_READ: 2 objects"));
      deepEqual([gateway.texts(), sessions], [["x"], 1]);
      match(JSON.stringify(context.lines), /more bytes than the 1 of its listing.*0 bytes, not the 1 of its listing/);
      await source.stop();
    },
  );
});

test("on a server without ETags an object of another's name is copied beside it before it is deleted", async () => {
  const seen: string[] = [];
  await withPeer(
    ({ method = "", url = "", headers }, response) => {
      if (url.includes("list-type"))
        return void response.end(listing(...(seen.length === 0 ? ["in/a.csv"] : [])).replaceAll(/<ETag>.*?<\/ETag>/g, ""));
      if (method === "PUT" || method === "DELETE")
        seen.push(`${method} ${url.replace(/~.*\./, "~.")} ${headers["x-amz-copy-source-if-match"] ?? "any"}`);
      response.end(method === "GET" ? "x" : "");
    },
    async (endpoint) => {
      const { source } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "10ms", prefix: "in/", ...s3Login });
      await eventually("it is deleted", () => seen.some((each) => each.startsWith("DELETE")));
      deepEqual(seen, ["PUT /b-1/done/a~.csv any", "DELETE /b-1/in/a.csv any"]);
      await source.stop();
    },
  );
});

test("while many finished objects can't be moved no others are taken, and all are once they can", async () => {
  const keys = Array.from({ length: s3Limits.unended + 50 }, (_, at) => `in/${at + 1000}`);
  const gone = new Set<string>();
  let refused = true;
  let polls = 0;
  await withPeer(
    ({ method, url = "" }, response) => {
      if (url.includes("list-type")) {
        polls += 1;
        return void response.end(listing(...keys.filter((key) => !gone.has(key))));
      }
      if (method === "PUT" && refused) return void response.writeHead(403).end(errorText("AccessDenied"));
      if (method === "HEAD" && url.includes("/done/")) return void response.writeHead(404).end();
      if (method === "DELETE") gone.add(url.slice("/b-1/".length));
      response.writeHead(200, { etag: '"e"' }).end(method === "GET" ? "x" : "");
    },
    async (endpoint) => {
      const { source, gateway } = await startSource(s3Source, { endpoint, bucket: "b-1", every: "1ms", prefix: "in/", ...s3Login });
      await eventually("many can't be moved", () => source.health().detail.startsWith(`MF_S3_MOVE: ${s3Limits.unended}`));
      const before = polls;
      await eventually("it has polled again", () => polls > before + 1);
      ok(gateway.received.length < s3Limits.unended + 16, String(gateway.received.length));
      refused = false;
      await eventually("all are moved", () => gone.size === keys.length);
      equal(gateway.received.length, keys.length, "each came once");
      await source.stop();
    },
  );
});

/** A page of a listing that has another one behind it. */
const pageOf = (key: string, next: string): string =>
  listing(key).replace("</ListBucketResult>", `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken></ListBucketResult>`); // biome-ignore format: one page

test("a listing whose page leads to itself is told; one that is longer than a poll goes on with the next", async () => {
  const watch = async (pages: (token: number) => string, told: (detail: string, received: number) => boolean) => {
    const tokens: number[] = [];
    await withPeer(
      ({ method, url = "" }, response) => {
        if (!url.includes("list-type") || url.includes("max-keys=1&"))
          return void response.writeHead(200, { etag: '"e"' }).end(method === "GET" ? "x" : "");
        tokens.push(Number(new URL(url, "http://a").searchParams.get("continuation-token") ?? 0));
        response.end(pages(tokens.at(-1) ?? 0));
      },
      async (endpoint) => {
        const { source, gateway } = await startSource(s3Source, {
          endpoint,
          bucket: "b-1",
          every: "1ms",
          prefix: "in/",
          done: "in/done/",
          ...s3Login,
        });
        await eventually("it is told", () => told(source.health().detail, gateway.received.length), 60_000);
        await source.stop();
      },
    );
    return tokens;
  };
  await watch(
    () => pageOf("in/done/a", "7"),
    (detail) => detail.startsWith("MF_S3_LISTING"),
  );
  const last = s3Limits.pagesPerPoll + 20;
  const tokens = await watch(
    (token) => (token < last ? pageOf(`in/done/${token}`, String(token + 1)) : listing("in/wanted")),
    (_, received) => received === 1,
  );
  deepEqual(
    tokens.slice(0, last + 1),
    Array.from({ length: last + 1 }, (_, at) => at),
  );
});
