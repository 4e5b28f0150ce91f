/** Two gateways in one process that are nodes of one cluster. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seed } from "../../base/testing/seed.ts";
import type { Partition } from "../contract/cluster.ts";
import { DeadLetters } from "../journal/dead-letters.ts";
import { SharedCluster, type TestNode } from "./nodes.ts";
import { type Rig, type RigOptions, withGateway } from "./rig.ts";
import type { Script } from "./scripted.ts";

const partitions = 4;
export const allPartitions = Array.from({ length: partitions }, (_, index) => index as Partition);

export interface Two {
  readonly partitions: number;
  readonly rigs: readonly [Rig, Rig];
  readonly nodes: readonly [TestNode, TestNode];
  readonly shared: SharedCluster;
}

/** Two nodes; the first has all partitions. */
export async function withTwo(
  yaml: string,
  scripts: readonly [Record<string, Script>, Record<string, Script>],
  run: (two: Two) => Promise<void>,
  options: Pick<RigOptions, "history"> = {},
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-nodes-"));
  const deadLetters = new DeadLetters(join(dir, "dead"));
  const shared = new SharedCluster(partitions, seed, deadLetters);
  const [one, two] = [shared.node("one"), shared.node("two")];
  const ports = (node: TestNode): object => ({ ...options, ports: { journal: node.journal, cluster: node, deadLetters }, drain: "500ms" });
  try {
    await withGateway(
      yaml,
      scripts[0],
      async (first) => {
        await withGateway(
          yaml,
          scripts[1],
          async (second) => {
            for (const partition of allPartitions) await one.take(partition);
            await run({ partitions, rigs: [first, second], nodes: [one, two], shared });
          },
          ports(two),
        );
      },
      ports(one),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
