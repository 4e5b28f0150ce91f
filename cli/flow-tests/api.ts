/** The run-time half of "mayfly/test": collects what a test file registers. */
import type { TestContext } from "./flow-test.d.ts";

export interface RegisteredTest {
  readonly name: string;
  readonly body: (context: TestContext) => void | Promise<void>;
}

/** Shared over copies of this module: a test's own import may resolve to another path than the command's. */
const slot = Symbol.for("mayfly.flow-tests");
const shared = globalThis as unknown as Record<symbol, RegisteredTest[] | undefined>;

export function test(name: string, body: RegisteredTest["body"]): void {
  const collecting = shared[slot];
  if (collecting === undefined) throw new Error('tests that import "mayfly/test" run under `mayfly test`');
  collecting.push({ name, body });
}

/** Loads a test module and gives the tests it registered. */
export async function collectTests(load: () => Promise<unknown>): Promise<readonly RegisteredTest[]> {
  const collecting: RegisteredTest[] = [];
  shared[slot] = collecting;
  try {
    await load();
  } finally {
    shared[slot] = undefined;
  }
  return collecting;
}
