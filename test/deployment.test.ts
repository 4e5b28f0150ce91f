/** DEPLOYMENT.md: its unit file and its manifests. Its container is tried in packed.test.ts, with Mayfly as it is installed. */
import { deepEqual, match, ok } from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "#gateway";
import { connectors } from "#connectors";
import { packageRoot } from "#cli";

const run = promisify(execFile);
const text = await readFile(join(packageRoot, "docs", "DEPLOYMENT.md"), "utf8");

function block(language: string, containing = ""): string {
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, code = ""]) => code);
  const found = blocks.find((code) => code.includes(containing));
  ok(found !== undefined, `DEPLOYMENT.md has no block in ${language} with ${containing}`);
  return found;
}

const dockerfile = block("dockerfile");

test("the unit file is one that systemd takes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-unit-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "shop.service");
  await writeFile(file, block("ini"));
  const verified = await run("systemd-analyze", ["verify", file]).catch((error: NodeJS.ErrnoException & { stderr?: string }) => error);
  if (verified instanceof Error && verified.code === "ENOENT") return t.skip("systemd-analyze is not installed");
  const said = String(verified.stderr).split("\n");
  deepEqual(
    said.filter((line) => line.includes(file) || line.includes("shop.service")),
    [],
  );
  await writeFile(file, block("ini").replace("TimeoutStopSec", "TimeoutStop"));
  match((await run("systemd-analyze", ["verify", file]).catch((error: { stderr: string }) => error)).stderr, /TimeoutStop/);
});

interface Manifest {
  readonly kind: string;
  readonly spec: {
    readonly replicas: number;
    readonly strategy: { readonly type: string };
    readonly ports: readonly { readonly targetPort: number }[];
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly {
          readonly ports: readonly { readonly containerPort: number }[];
          readonly livenessProbe: { readonly httpGet: { readonly path: string; readonly port: number } };
          readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly port: number } };
          readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
        }[];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

test("the manifests agree with each other, with the Dockerfile and with the gateway's defaults", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-manifest-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "mayfly.yaml"), "flows: { f: { image: f.mfi, from: [ { http: { path: /f } } ] } }");
  const config = await loadConfig(join(folder, "mayfly.yaml"), connectors);
  const manifests = parseAllDocuments(block("yaml", "kind: Deployment")).map((each) => each.toJS() as Manifest);
  deepEqual(
    manifests.map(({ kind }) => kind),
    ["Deployment", "PersistentVolumeClaim", "Service"],
  );
  const [deployment, , service] = manifests;
  const { replicas, strategy, template } = (deployment as Manifest).spec;
  deepEqual([replicas, strategy.type], [1, "Recreate"]);
  const [container] = template.spec.containers;
  ok(container !== undefined);
  const port = config.http.port;
  deepEqual(
    [
      container.ports[0]?.containerPort,
      container.livenessProbe.httpGet.port,
      container.readinessProbe.httpGet.port,
      service?.spec.ports[0]?.targetPort,
    ],
    [port, port, port, port],
  );
  deepEqual([container.livenessProbe.httpGet.path, container.readinessProbe.httpGet.path], ["/ping", "/ready"]);
  ok(template.spec.terminationGracePeriodSeconds * 1000 > config.drain);
  match(dockerfile, new RegExp(`^EXPOSE ${port}$`, "m"));
  const volume = /^VOLUME (.+)$/m.exec(dockerfile)?.[1];
  ok(container.volumeMounts.some(({ mountPath }) => mountPath === volume));
  deepEqual(
    container.volumeMounts.map(({ name }) => name),
    template.spec.volumes.map(({ name }) => name),
  );
});

test("the configuration with an image of a registry is a valid one", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-images-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "mayfly.yaml"), block("yaml", "image: oci://"));
  const { images, flows } = await loadConfig(join(folder, "mayfly.yaml"), connectors);
  deepEqual(images.trust, [join(folder, "keys", "release.pub")]);
  match(flows["orders"]?.image ?? "", /^oci:\/\/registry\.example\/shop\/orders:/);
});
