// The same in TypeScript, where a test can sign for itself.
import { equal } from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "mayfly/test";

test("whatever is signed with the secret is taken, whatever is not is refused", async ({ run }) => {
  for (let round = 0; round < 20; round++) {
    const secret = randomBytes(20).toString("base64");
    const body = JSON.stringify({ ref: `refs/heads/${round}`, repository: { full_name: "acme/shop" }, commits: [] });
    const sign = (key: string): string => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
    const deliver = (signature: string) =>
      run({
        message: {
          text: body,
          contentType: "application/json",
          headers: { "x-github-event": "push", "x-hub-signature-256": signature, "mayfly-value-secret": secret },
        },
      });
    equal((await deliver(sign(secret))).status, "done");
    equal((await deliver(sign(`${secret}x`))).error?.status, 401);
  }
});
