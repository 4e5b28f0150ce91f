/** Builds and trials through the endpoints: who may, how many at once, whose images, and what bounds them. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { CodedError } from "#base";
import { done } from "../testing/scripted.ts";
import { hashOf, imageBytes, type Platform, withPlatform } from "./testing/platform.ts";
import type { FunctionBuilder, Trial, TrialTerms } from "./workshop.ts";

const acme = "acme-key-0123456789abcdef";
const reader = "acme-reader-0123456789abcdef";
const other = "other-key-0123456789abcdef";

const tenants = `tenants:
  acme:
    keys: { ci: { key: ${acme}, scopes: [deploy, read] }, reader: { key: ${reader}, scopes: [read] } }
    monitor: process
    requests: 2/h
    images: 1KiB
    limits: { memory: 32MiB, cpu: 100ms, time: 1m }
  other: { keys: { ci: { key: ${other} } } }
`;

const trial: Trial = { status: "done", error: null, reply: null, sends: [], logs: [], state: {}, cpuMs: 1, events: [] };

class Builder implements FunctionBuilder {
  readonly terms: TrialTerms[] = [];
  built = 0;
  /** Builds wait for it. */
  gate: Promise<void> = Promise.resolve();

  async build(code: string): Promise<{ bytes: Uint8Array; sha256: string }> {
    this.built += 1;
    await this.gate;
    if (code === "wrong") throw new CodedError("MF_TYPE_CHECK", "hello.ts:1:1 is wrong");
    const bytes = imageBytes({ script: "good", ...(code === "long" ? { outlets: ["x".repeat(1024)] } : {}) });
    return { bytes, sha256: hashOf(bytes) };
  }

  async run(_image: Uint8Array, _message: object, terms: TrialTerms): Promise<Trial> {
    this.terms.push(terms);
    return trial;
  }
}

async function withBuilder(run: (platform: Platform, builder: Builder) => Promise<void>): Promise<void> {
  const builder = new Builder();
  await withPlatform({ good: () => [done("good")] }, (platform) => run(platform, builder), { tenants, builder });
}

test("what was built is uploaded: it is tried and deployed by its tenant, and by nobody else", async () => {
  await withBuilder(async (platform, builder) => {
    const built = await platform.askAs(acme, "POST", "functions/hello/build", { body: "good" });
    equal(built.status, 201);
    const { image } = built.value;
    const tried = await platform.askAs(acme, "POST", "functions/hello/try", { body: { image, body: "x" } });
    deepEqual([tried.status, tried.value["status"]], [200, "done"]);
    const limits = { memory: 32 * 2 ** 20, cpu: 100, time: 10_000, sends: 10_000, log: 262_144 };
    deepEqual(builder.terms, [{ monitor: "process", limits }], "the tenant's monitor and bounds, and no minute");
    equal((await platform.askAs(other, "POST", "functions/hello/try", { body: { image } })).value["code"], "MF_FUNCTION_IMAGE");
    equal((await platform.askAs(acme, "PUT", "functions/hello", { body: { image } })).status, 201);
    equal((await platform.call("/acme/hello")).text, "good");
    equal(
      (await platform.askAs(acme, "POST", "functions/hello/try", { body: { image } })).value["code"],
      "MF_TENANT_RATE",
      "a trial is a request",
    );
  });
});

test("refused: keys without the scope, wrong code with its place, wrong names and bodies, images over the bound", async () => {
  await withBuilder(async (platform) => {
    for (const what of ["build", "try"])
      equal((await platform.askAs(reader, "POST", `functions/hello/${what}`, { body: "x" })).value["code"], "MF_SCOPE_DENIED", what);
    const wrong = await platform.askAs(acme, "POST", "functions/hello/build", { body: "wrong" });
    deepEqual([wrong.status, wrong.value["code"]], [422, "MF_TYPE_CHECK"]);
    match(String(wrong.value["detail"]), /hello\.ts:1:1/);
    equal((await platform.askAs(acme, "POST", "functions/a--b/build", { body: "good" })).value["code"], "MF_FUNCTION_NAME");
    equal((await platform.askAs(acme, "POST", "functions/hello/build", { body: "long" })).value["code"], "MF_TENANT_FULL");
    equal((await platform.askAs(acme, "POST", "functions/hello/build", { body: "x".repeat(300_000) })).status, 413);
    for (const body of [{}, { image: "x" }, { image: `sha256:${"0".repeat(64)}`, body: 3 }, { code: "x" }])
      equal((await platform.askAs(acme, "POST", "functions/hello/try", { body })).status, 400, JSON.stringify(body));
  });
});

test("one build of a tenant at a time, beside those of others", async () => {
  await withBuilder(async (platform, builder) => {
    let open = (): void => undefined;
    builder.gate = new Promise((resolve) => (open = resolve));
    const first = platform.askAs(acme, "POST", "functions/hello/build", { body: "good" });
    const second = await platform.askAs(acme, "POST", "functions/hello/build", { body: "good" });
    deepEqual([second.status, second.value["code"]], [503, "MF_BUILD_BUSY"]);
    const beside = platform.askAs(other, "POST", "functions/hello/build", { body: "good" });
    open();
    deepEqual([(await first).status, (await beside).status, builder.built], [201, 201, 2]);
  });
});
