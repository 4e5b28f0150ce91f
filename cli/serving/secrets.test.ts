/** A secret in a file is replaced, and the gateway goes on with the new one: no restart, no signal. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type RootLogger, silentLogger } from "../../gateway/logger.ts";
import { capture } from "../capture.ts";
import { cliLimits } from "../limits.ts";
import { type Serving, startServing } from "./serving.ts";

interface Bench {
  readonly dir: string;
  /** Replaces the secret. */
  put(text: string): void;
  /** Writes mayfly.yaml; `more`: behind it. */
  configure(more?: string): void;
  start(logger: RootLogger): Promise<Serving>;
}

async function withFlow(run: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-secret-files-"));
  const file = join(dir, "mayfly.yaml");
  const yaml = 'http: { port: 0 }\nflows: { a: { flow: a.ts, from: [ { http: { path: /a, auth: { bearer: "${file:token}" } } } ] } }\n';
  const put = (text: string): void => {
    writeFileSync(join(dir, "next"), text);
    renameSync(join(dir, "next"), join(dir, "token"));
  };
  const configure = (more = ""): void => writeFileSync(file, yaml + more);
  try {
    put("one\n");
    configure();
    writeFileSync(join(dir, "a.ts"), 'import { flow } from "mayfly"; export default flow(() => "ok");');
    await run({ dir, put, configure, start: (logger) => startServing({ file, logger }) });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const post = async ({ url }: Serving, token: string): Promise<number> =>
  (await fetch(`${url}/a`, { method: "POST", headers: { authorization: `Bearer ${token}` } })).status;

async function untilTaken(serving: Serving, token: string): Promise<void> {
  const untilMs = Date.now() + 60_000;
  while ((await post(serving, token)) !== 200) {
    ok(Date.now() < untilMs, `${token} is not taken`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Calls `then` when a logger of a part is made: the gateway is starting. */
const starting = (then: () => void): RootLogger => ({
  ...silentLogger,
  child: () => {
    then();
    return silentLogger;
  },
});

test("a profile named on the command line, or by the environment, is put over mayfly.yaml", async () => {
  await withFlow(async ({ dir }) => {
    writeFileSync(join(dir, "mayfly.prod.yaml"), "http: { port: 8443 }\nlog: { level: warn }\n");
    const config = join(dir, "mayfly.yaml");
    const shown = async (words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<unknown[]> => {
      const { out, code } = await capture(["config", "show", "-c", config, "--json", ...words], { env });
      equal(code, 0, out);
      const { http, log } = JSON.parse(out) as { http: { port: number }; log: { level: string } };
      return [http.port, log.level];
    };
    deepEqual(await shown([]), [0, "info"]);
    deepEqual(await shown(["--profile", "prod"]), [8443, "warn"]);
    deepEqual(await shown([], { MAYFLY_PROFILE: "prod" }), [8443, "warn"]);
    const missing = await capture(["config", "show", "-c", config, "--profile", "tset"]);
    equal(missing.code, 2);
    match(missing.err, /MF_CONFIG_PROFILE: the profile tset needs the file .*mayfly\.tset\.yaml/);
  });
});

test("a new secret counts once its file has changed; one that can't be read leaves the old one", { timeout: 120_000 }, async () => {
  await withFlow(async ({ dir, put, start }) => {
    const serving = await start(silentLogger);
    try {
      equal(await post(serving, "one"), 200);
      put("two\n");
      await untilTaken(serving, "two");
      equal(await post(serving, "one"), 401);
      await rm(join(dir, "token"));
      equal(await post(serving, "two"), 200);
    } finally {
      await serving.stop();
    }
  });
});

test("a secret that is replaced while the gateway starts counts", { timeout: 120_000 }, async () => {
  await withFlow(async ({ put, start }) => {
    const serving = await start(starting(() => put("two\n")));
    try {
      await untilTaken(serving, "two");
    } finally {
      await serving.stop();
    }
  });
});

test("a secret that is replaced while mayfly.yaml is wrong counts once that is right; the log says so once", {
  timeout: 120_000,
}, async () => {
  await withFlow(async ({ put, configure, start }) => {
    const lines: string[] = [];
    const logger = { ...silentLogger, error: (_fields: object, text: string) => void lines.push(text) };
    const serving = await start(logger);
    try {
      configure("nonsense: 1\n");
      put("two\n");
      while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      await new Promise((resolve) => setTimeout(resolve, 1.2 * cliLimits.secretsMs));
      equal(await post(serving, "one"), 200);
      configure();
      await untilTaken(serving, "two");
      equal(lines.length, 1, lines.join("\n"));
      match(lines[0] ?? "", /previous configuration keeps serving/);
    } finally {
      await serving.stop();
    }
  });
});
