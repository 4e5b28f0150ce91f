/** deploy/: the manifests agree with the gateway's defaults. Their schemas and the chart's values: scripts/kubernetes.mjs, which this runs where helm is. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { packageRoot } from "#cli";
import { connectors } from "#connectors";
import { loadConfig } from "#gateway";

interface Container {
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly replicas: number;
    readonly strategy: { readonly type: string };
    readonly selector: object;
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly [Container];
        readonly volumes: readonly { readonly name: string; readonly persistentVolumeClaim?: { readonly claimName: string } }[];
      };
    };
  };
}

async function manifests(name: string): Promise<ReadonlyMap<string, Manifest>> {
  const text = await readFile(join(packageRoot, "deploy", "kubernetes", `${name}.yaml`), "utf8");
  return new Map(parseAllDocuments(text).map((each) => [(each.toJS() as Manifest).kind, each.toJS() as Manifest]));
}

for (const name of ["cluster", "single"])
  test(`the manifests of a ${name} gateway agree with each other and with the gateway's defaults`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-manifests-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "mayfly.yaml"), "flows: { f: { image: f.mfi } }");
    const { http, drain, journal } = await loadConfig(join(folder, "mayfly.yaml"), connectors);
    const all = await manifests(name);
    const deployment = all.get("Deployment");
    ok(deployment !== undefined);
    const { replicas, strategy, template } = deployment.spec;
    const { terminationGracePeriodSeconds, containers, volumes } = template.spec;
    const [{ ports, lifecycle, volumeMounts, securityContext }] = containers;
    deepEqual(ports, [{ name: "http", containerPort: http.port }]);
    const preStopSeconds = Number(lifecycle.preStop.exec.command[1]);
    ok((terminationGracePeriodSeconds - preStopSeconds) * 1000 > drain);
    deepEqual(volumeMounts.map((each) => each.name).sort(), volumes.map((each) => each.name).sort());
    const kept = volumeMounts.find((each) => each.name === "kept")?.mountPath ?? "";
    ok(
      resolve(folder, journal.dir ?? "").startsWith(join(folder, kept.replace("/app/", "") || "?")),
      "the journal is in the volume that lasts",
    );
    equal(securityContext["readOnlyRootFilesystem"], true);
    const isCluster = name === "cluster";
    deepEqual([replicas > 1, strategy.type], [isCluster, isCluster ? "RollingUpdate" : "Recreate"]);
    deepEqual([...all.keys()].sort(), [
      "Deployment",
      "NetworkPolicy",
      isCluster ? "PodDisruptionBudget" : "PersistentVolumeClaim",
      "Service",
    ]);
    const claim = volumes.find((each) => each.name === "kept")?.persistentVolumeClaim?.claimName;
    equal(claim, isCluster ? undefined : all.get("PersistentVolumeClaim")?.metadata.name);
    const { labels } = template.metadata;
    const { selector } = (all.get("Service") as Manifest).spec;
    for (const [label, value] of Object.entries(selector)) equal(labels[label], value);
  });

const helm = join(homedir(), ".cache", "mayfly", "helm-3.17.3", "helm");

test("the chart gives valid manifests, refuses contradictions, and deploy/kubernetes is what it gives", {
  skip: existsSync(helm) ? false : "helm was not built: `npm run kubernetes` does, with Go, and then checks the same",
}, () => {
  const { status, stderr } = spawnSync(process.execPath, [join(packageRoot, "scripts", "kubernetes.mjs")], { encoding: "utf8" });
  deepEqual([status, stderr], [0, ""]);
});
