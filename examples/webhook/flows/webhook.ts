import { fail, flow, timingSafeEqual } from "mayfly";

interface Push {
  ref: string;
  repository: { full_name: string };
  commits: { id: string; message: string }[];
}

const encoder = new TextEncoder();

/** `sha256=` and the HMAC-SHA-256 of the body in hexadecimal, as GitHub signs it. */
async function signature(secret: string, body: Uint8Array): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, body));
  return `sha256=${Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Signed webhooks in, checked before anything of them is read. */
export default flow<"pushes">(async (msg, { to, log, reply, values }) => {
  const given = msg.headers["x-hub-signature-256"] ?? "";
  // An image holds no secret: it comes with each message, from `values:` in mayfly.yaml, and is gone with the machine.
  const { secret } = values;
  if (secret === undefined || secret === "")
    fail("values.secret is not set for this flow in mayfly.yaml", { code: "SECRET_MISSING", status: 503 });
  // In constant time: how long a comparison takes must not tell how much of a guess was right.
  if (!timingSafeEqual(given, await signature(secret, msg.bytes))) {
    log.warn("signature refused", { delivery: msg.headers["x-github-delivery"] });
    fail("the signature does not match the body", { code: "SIGNATURE_INVALID", status: 401, retry: false });
  }

  const event = msg.headers["x-github-event"] ?? "";
  if (event === "push") {
    const push = msg.json<Push>();
    const branch = push.ref.replace(/^refs\/heads\//, "");
    to.pushes.send({ repository: push.repository.full_name, branch, commits: push.commits.length }, { key: push.repository.full_name });
  }
  log.info("webhook taken", { event });
  reply(undefined, { status: 204 });
});
