/** Parts of the product and the tests that should notice what is wrong in them, quickest first. Paths are of dist/; a folder stands for all below it. */
export interface Area {
  readonly files: readonly string[];
  readonly tests: readonly string[];
}

export const areas: Readonly<Record<string, Area>> = {
  abi: { files: ["abi"], tests: ["abi"] },
  base: { files: ["base"], tests: ["base"] },
  config: { files: ["gateway/config"], tests: ["gateway/config", "connectors/http/openapi", "connectors/http/contract"] },
  connectors: {
    files: ["connectors/http", "connectors/file", "connectors/cron", "connectors/flow", "connectors/log", "connectors/smtp"],
    tests: [
      "connectors/http",
      "connectors/file",
      "connectors/cron",
      "connectors/flow",
      "connectors/log",
      "connectors/smtp",
      "gateway/http",
      "gateway/reload.test.js",
    ],
  },
  delivery: {
    files: ["gateway/delivery"],
    tests: [
      "gateway/delivery",
      "gateway/stopping.test.js",
      "gateway/reload.test.js",
      "gateway/ceilings.test.js",
      "gateway/identity.test.js",
    ],
  },
  "flow-tests": { files: ["cli/flow-tests"], tests: ["cli/flow-tests"] },
  http: {
    files: ["gateway/http", "gateway/contract/http"],
    tests: ["gateway/http", "gateway/contract/http", "connectors/http"],
  },
  image: { files: ["image"], tests: ["image"] },
  journal: { files: ["gateway/journal"], tests: ["gateway/journal"] },
  monitors: {
    files: ["monitors/embedded", "monitors/fair-queue.js", "monitors/machine.js"],
    tests: [
      "monitors/machine.test.js",
      "monitors/fair-queue.test.js",
      "monitors/embedded/worker.test.js",
      "monitors/embedded/submission.test.js",
      "monitors/embedded/relief.test.js",
      "monitors/embedded",
    ],
  },
  replay: { files: ["replay"], tests: ["replay/differences.test.js", "replay/backtest.test.js", "replay", "cli/replay.test.js"] },
  explore: { files: ["explore", "cli/exploration"], tests: ["cli/explore.test.js"] },
  "stored-bodies": { files: ["gateway/stored-bodies"], tests: ["gateway/stored-bodies", "test/stored-bodies.test.js"] },
};
