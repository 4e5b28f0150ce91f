/** A message that ends what runs it is not tried for ever: not in one process, and not in the next. */
import { deepEqual, match } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { MachineErrorCode, StepOutcome } from "#abi";
import { DeadLetters, type DeadLetter } from "../journal/dead-letters.ts";
import { openJournal } from "../journal/log/mod.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, type Script } from "../testing/scripted.ts";

const yaml = (backoff: string): string =>
  `flows: { job: { image: job.mfi, from: [ { http: { path: /jobs, mode: accept } }, { http: { path: /now } } ], retry: { attempts: 6, backoff: ${backoff} } } }`;

const ended = (code: MachineErrorCode, workersLost?: number): StepOutcome => ({
  status: "broken",
  effects: [],
  failure: { code, message: code, ...(workersLost === undefined ? {} : { workersLost }) },
  cpuMs: 0,
});

/** Answers the attempts of a message in turn. */
const answers =
  (...outcomes: readonly StepOutcome[]): Script =>
  (event) =>
    event.kind === "deliver" ? (outcomes[event.attempt - 1] ?? [done("fine")]) : [];

async function onlyLetter(deadLetters: DeadLetters): Promise<DeadLetter> {
  return until(async () => {
    for await (const { id } of deadLetters.list()) return (await deadLetters.read(id))?.letter;
    return undefined;
  });
}

const post = (url: string, path = "/jobs"): Promise<Response> => fetch(`${url}${path}`, { method: "POST", body: "x" });

const kinds: Readonly<Record<string, readonly StepOutcome[]>> = {
  "in two attempts": [ended("MF_CPU_LIMIT", 1), ended("MF_CPU_LIMIT", 1)],
  "in two attempts with others between": [ended("MF_CPU_LIMIT", 1), ended("MF_CPU_LIMIT"), ended("MF_MACHINE_LOST", 1)],
  "in one attempt": [ended("MF_MACHINE_LOST", 2)],
};
for (const [name, outcomes] of Object.entries(kinds)) {
  test(`a message that ended two workers ${name} is a dead letter that says so`, async () => {
    await withGateway(yaml("1ms..2ms"), { job: answers(...outcomes) }, async ({ url, deadLetters }) => {
      await post(url);
      const { failure, attempts } = await onlyLetter(deadLetters);
      deepEqual([failure.code, attempts.length], ["MF_MESSAGE_QUARANTINED", outcomes.length]);
      match(failure.message, /crashed 2 workers.*dlq retry.*MF_(CPU_LIMIT|MACHINE_LOST)/);
    });
  });
}

test("failures that ended no worker, and a single one that did, are tried again", async () => {
  const outcomes = [ended("MF_CPU_LIMIT"), ended("MF_MACHINE_LOST", 1), ended("MF_CPU_LIMIT"), ended("MF_MACHINE_TRAP")];
  await withGateway(yaml("1ms..2ms"), { job: answers(...outcomes) }, async ({ url, runner, deadLetters }) => {
    await post(url);
    await until(() => runner.delivered.length === 5);
    deepEqual(await deadLetters.count("job"), 0);
  });
});

test("a caller who waits is told", async () => {
  await withGateway(yaml("1ms..2ms"), { job: answers(ended("MF_MACHINE_LOST", 2)) }, async ({ url }) => {
    const response = await post(url, "/now");
    deepEqual([response.status, ((await response.json()) as { code: string }).code], [500, "MF_MESSAGE_QUARANTINED"]);
  });
});

test("workers that ended before a restart count", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-quarantine-"));
  const served = async (backoff: string, run: (rig: Rig) => Promise<void>): Promise<void> => {
    const deadLetters = new DeadLetters(join(dir, "dead"));
    const journal = openJournal(join(dir, "journal"), { deadLetters });
    const outcome = ended("MF_CPU_LIMIT", 1);
    await withGateway(yaml(backoff), { job: answers(outcome, outcome, outcome) }, run, { drain: "30ms", ports: { journal, deadLetters } });
  };
  try {
    await served("1s..1s", async ({ url, logs }) => {
      await post(url);
      await until(() => logs.some(({ fields }) => "retryInMs" in fields));
    });
    await served("1ms..2ms", async ({ runner }) => {
      const { failure, attempts } = await onlyLetter(new DeadLetters(join(dir, "dead")));
      deepEqual([failure.code, attempts.length, runner.delivered.length], ["MF_MESSAGE_QUARANTINED", 2, 1]);
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
