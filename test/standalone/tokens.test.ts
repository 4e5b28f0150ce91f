/**
 * `auth.jwt` of one mayfly.yaml in a gateway, a Linux executable and a microVM: the same tokens, good, wrong and damaged, get the same status
 * and code from all. The microVM is built and started as a user does it.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { capture } from "#cli";
import { freePort } from "../../base/testing/free-port.ts";
import { seed } from "../../base/testing/seed.ts";
import { withGateway, withPeer } from "../../gateway/testing/rig.ts";
import { done } from "../../gateway/testing/scripted.ts";
import { damaged, isCanonical, rules, TokenIssuer } from "../../kernel/net/testing/tokens.ts";
import { qemuMissing } from "../../monitors/qemu/testing/guests.ts";
import { linuxMissing, LinuxService } from "./linux-service.ts";

const jwt = (more: object = {}): string => JSON.stringify({ jwks: "KEYS", ...rules, ...more }).replace('"KEYS"', '"${KEYS}"');
const auth = `[ { jwt: ${jwt()} }, { bearer: "\${TOKEN}" } ]`;
const flow = `import { flow } from "mayfly";
export default flow((msg, { reply }) => reply({ caller: msg.headers["mayfly-caller"], claims: msg.claims }));
`;

let folder: string;
let issuer: TokenIssuer;
let tokens: readonly string[];
let cases: readonly string[];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-tokens-"));
  await mkdir(join(folder, "flows"));
  await writeFile(join(folder, "flows/f.ts"), flow);
  await writeFile(join(folder, "mayfly.yaml"), `flows: { f: { flow: flows/f.ts, from: [ { http: { path: /x, auth: ${auth} } } ] } }\n`);
  issuer = await TokenIssuer.create();
  tokens = await issuer.tokens();
  cases = [...tokens, "fixed", "wrong", "a.b.c", ...fc.sample(damaged(tokens), { seed, numRuns: 150 })];
});
after(() => rm(folder, { recursive: true, force: true }));

type Answer = readonly [status: number, code?: string];

async function ask(url: string, token: string): Promise<Answer> {
  for (;;) {
    const response = await fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    if (response.ok) return [200];
    const { code } = JSON.parse(text) as { code: string };
    // Keys are on their way, or a slow processor has verified enough for now.
    if (response.status !== 503) return [response.status, code];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs `use` with the URL of the issuer's keys, seen from this computer, and its port. */
function withIssuer(use: (url: string, port: number) => Promise<void>): Promise<void> {
  return withPeer(
    (_request, response) => response.end(issuer.jwks),
    (url) => use(url, Number(new URL(url).port)),
  );
}

let known: Promise<readonly Answer[]> | undefined;

/** The gateway's answers to all cases. */
async function gatewayAnswers(): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  await withIssuer(async (keys) => {
    const yaml = `flows: { f: { image: f.mfi, from: [ { http: { path: /x, auth: ${auth} } } ] } }`;
    const environment = { KEYS: keys, TOKEN: "fixed" };
    const judge = async (url: string): Promise<void> => {
      for (const token of cases) answers.push(await ask(url, token));
    };
    await withGateway(yaml, { f: () => [done()] }, ({ url }) => judge(url), { environment });
  });
  return answers;
}

async function compare(url: string): Promise<void> {
  const expected = await (known ??= gatewayAnswers());
  ok(expected.filter(([status]) => status === 200).length > 10, "good tokens");
  ok(expected.filter(([status]) => status === 403).length >= 4, "tokens that lack something");
  for (const [index, token] of cases.entries()) {
    const isLoose = token.split(".").length === 3 && !isCanonical(token);
    deepEqual(await ask(url, token), isLoose ? [401, "MF_TOKEN_INVALID"] : expected[index], token);
  }
  const response = await fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${tokens[0]}`, "mayfly-claims": "{}" } });
  const { caller, claims } = (await response.json()) as { readonly caller: string; readonly claims: { readonly role: string } };
  deepEqual([caller, claims.role], ["ada", "clerk"]);
}

async function build(target: readonly string[], file: string): Promise<string> {
  const output = join(folder, file);
  const { code, err } = await capture([
    "build",
    "--config",
    join(folder, "mayfly.yaml"),
    "--target",
    ...target,
    "-o",
    output,
    "--no-check",
  ]);
  equal(code, 0, err);
  return output;
}

describe("a Linux executable", { skip: linuxMissing() ?? false }, () => {
  test("answers tokens as the gateway does", { timeout: 300_000 }, async () => {
    const elf = await build(["linux", "--serve"], "app");
    match((await capture(["inspect", elf])).out, /settings +KEYS, TOKEN[\s\S]*\/x.*jwt/);
    await withIssuer(async (keys) => {
      const port = await freePort();
      const service = new LinuxService(elf, ["-p", String(port)], port, { KEYS: keys, TOKEN: "fixed" });
      try {
        await service.serving();
        await compare(`http://127.0.0.1:${port}`);
        equal((await service.stop()).code, 0);
      } finally {
        service.process.kill("SIGKILL");
      }
    });
  });

  test("lets nobody in without keys, says so, and ends a start whose URL it can't use", async () => {
    const elf = await build(["linux", "--serve"], "app");
    const [port, nowhere] = [await freePort(), await freePort()];
    const service = new LinuxService(elf, ["-p", String(port)], port, { KEYS: `http://127.0.0.1:${nowhere}/`, TOKEN: "fixed" });
    try {
      await service.serving();
      const headers = { authorization: `Bearer ${tokens[0]}` };
      const response = await service.ask("/x", { method: "POST", headers });
      deepEqual([response.status, response.headers.get("retry-after")], [503, "5"]);
      equal(((await response.json()) as { code: string }).code, "MF_JWKS_UNAVAILABLE");
      await service.logged("127.0.0.1 gave no keys: no connection: check jwks");
      equal((await service.ask("/x", { method: "POST", headers: { authorization: "Bearer fixed" } })).status, 200, "another way");
    } finally {
      service.process.kill("SIGKILL");
    }
    const refused = await new LinuxService(elf, ["-p", String(port)], port, { KEYS: "https://id.example/", TOKEN: "t" }).ended;
    equal(refused.code, 1);
    match(refused.err + refused.out, /MF_STANDALONE_SETTINGS: jwks must be http:/);
  });
});

describe("a microVM", { skip: qemuMissing() ?? false }, () => {
  test("answers tokens as the gateway does", { timeout: 600_000 }, async () => {
    const elf = await build(["microvm"], "app.elf");
    await withIssuer(async (_url, keysPort) => {
      const port = await freePort();
      const env = { XDG_STATE_HOME: join(folder, "state"), KEYS: `http://10.0.2.2:${keysPort}/`, TOKEN: "fixed" };
      const started = await capture(["up", elf, "-p", `${port}:80`, "--name", "tokens", "--detach"], { env });
      equal(started.code, 0, started.err);
      try {
        await compare(`http://127.0.0.1:${port}`);
      } finally {
        const stopped = await capture(["stop", "tokens"], { env });
        equal(stopped.code, 0, stopped.err);
      }
    });
  });
});
