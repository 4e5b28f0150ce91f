// Checks deploy/: lints and renders the Helm chart with several values, holds every manifest against the official schemas, strictly, and
// compares deploy/kubernetes with what the chart gives (UPDATE=1 writes it). Helm, the schemas of Kubernetes, KEDA and the Prometheus
// operator come from the Go module proxy, once: helm into a folder of the user's cache, the schemas into Go's.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse, parseAllDocuments, stringify } from "yaml";

const helmVersion = "3.17.3";
/** test/kubernetes.test.ts looks here. */
export const helmProgram = join(homedir(), ".cache", "mayfly", `helm-${helmVersion}`, "helm");
const kubernetesVersion = "1.32.3";
const modules = {
  kubernetes: `k8s.io/kubernetes@v${kubernetesVersion}`,
  keda: "github.com/kedacore/keda/v2@v2.16.1",
  prometheus: "github.com/prometheus-operator/prometheus-operator@v0.80.1",
};

const root = fileURLToPath(new URL("../", import.meta.url));
const chart = join(root, "deploy", "helm", "mayfly");

const config = "flows:\n  orders:\n    image: oci://registry.example/shop/orders:1.4\n";
/** Values to render the chart with; the first two are deploy/kubernetes as well. */
const variants = {
  cluster: {},
  single: { cluster: { enabled: false }, replicas: 1 },
  all: {
    config,
    imagePullSecrets: ["pull-1", "pull-2"],
    registrySecret: "registry",
    secret: "shop",
    env: [{ name: "ERP_URL", value: "https://erp.example" }],
    autoscaling: { enabled: true },
    serviceMonitor: { enabled: true },
    networkPolicy: {
      from: [{ namespaceSelector: { matchLabels: { name: "ingress" } } }],
      egress: [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }], ports: [{ port: 5672 }] }],
    },
  },
  keda: { keda: { enabled: true }, networkPolicy: { enabled: false }, podDisruptionBudget: { enabled: false } },
  "single, with a class": { cluster: { enabled: false }, replicas: 1, persistence: { storageClass: "fast", size: "50Gi" } },
};
/** Values that must be refused, and what is said. */
const refused = [
  [{ cluster: { enabled: false } }, /set replicas to 1/],
  [{ cluster: { enabled: false }, replicas: 1, keda: { enabled: true } }, /set cluster\.enabled/],
  [{ autoscaling: { enabled: true }, keda: { enabled: true } }, /turn one of them off/],
  [{ replica: 2 }, /replica is not allowed/],
  [{ service: { port: "http" } }, /port/],
];

const lastLine = (text) => (text ?? "").trim().split("\n").at(-1);

/** The reason why helm can't be brought, or undefined: it is there. */
function bringHelm() {
  if (existsSync(helmProgram)) return undefined;
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0) return "no go here";
  console.error(`mayfly: building helm ${helmVersion} (some minutes, once)`);
  const folder = mkdtempSync(join(tmpdir(), "mayfly-helm-"));
  try {
    const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0" };
    const source = `helm.sh/helm/v3/cmd/helm@v${helmVersion}`;
    const { status, stderr } = spawnSync("go", ["install", "-ldflags=-s -w", source], { env, encoding: "utf8", timeout: 1_800_000 });
    if (status !== 0) return `go can't build it: ${lastLine(stderr)}`;
    mkdirSync(dirname(helmProgram), { recursive: true });
    spawnSync("cp", [join(folder, "helm"), `${helmProgram}.new`]); // the temporary folder may be on another disk
    renameSync(`${helmProgram}.new`, helmProgram);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Folders of the modules' sources. Throws when the proxy can't be reached. */
function moduleFolders() {
  const { status, stdout, stderr } = spawnSync("go", ["mod", "download", "-json", ...Object.values(modules)], {
    cwd: tmpdir(),
    encoding: "utf8",
    timeout: 900_000,
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`the schemas can't be brought: ${lastLine(stderr)}`);
  const folders = [...stdout.matchAll(/"Dir": "([^"]+)"/g)].map(([, folder]) => folder);
  return Object.fromEntries(
    Object.entries(modules).map(([name, at]) => [name, folders.find((each) => each.endsWith(at.slice(at.lastIndexOf("/"))))]),
  );
}

/** An OpenAPI schema as JSON Schema that allows nothing it does not name. */
function strict(schema) {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  if (schema.format === "int-or-string" || schema["x-kubernetes-int-or-string"] === true) return { type: ["string", "integer"] };
  const { format: _, nullable, ...rest } = schema;
  const made = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, strict(value)]));
  if (nullable === true && typeof made.type === "string") made.type = [made.type, "null"];
  const isClosed = made.properties !== undefined && schema.additionalProperties === undefined;
  return isClosed && schema["x-kubernetes-preserve-unknown-fields"] !== true ? { ...made, additionalProperties: false } : made;
}

/** By kind and version a check that gives the faults of a manifest. */
function checks() {
  const folders = moduleFolders();
  const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false, validateFormats: false });
  const { definitions } = JSON.parse(readFileSync(join(folders.kubernetes, "api", "openapi-spec", "swagger.json"), "utf8"));
  // An object that has no property of its own in the document, such as JSON, is left open.
  ajv.addSchema({ $id: "kubernetes", definitions: strict(definitions) });
  const byKind = new Map();
  for (const [name, definition] of Object.entries(definitions))
    for (const { group, version, kind } of definition["x-kubernetes-group-version-kind"] ?? [])
      byKind.set(`${kind} ${group === "" ? "" : `${group}/`}${version}`, { $ref: `kubernetes#/definitions/${name}` });
  const definitionsOf = [
    join(folders.keda, "config", "crd", "bases", "keda.sh_scaledobjects.yaml"),
    join(folders.prometheus, "example", "prometheus-operator-crd", "monitoring.coreos.com_servicemonitors.yaml"),
  ];
  for (const file of definitionsOf) {
    const { spec } = parse(readFileSync(file, "utf8"));
    for (const { name, schema } of spec.versions) {
      const { properties, ...rest } = strict(schema.openAPIV3Schema);
      const meta = { $ref: "kubernetes#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" };
      byKind.set(`${spec.names.kind} ${spec.group}/${name}`, { ...rest, properties: { ...properties, metadata: meta } });
    }
  }
  return (manifest) => {
    const found = byKind.get(`${manifest.kind} ${manifest.apiVersion}`);
    if (found === undefined) return [`${manifest.kind} of ${manifest.apiVersion} is no kind of the schemas`];
    const validate = ajv.compile(found);
    return validate(manifest)
      ? []
      : validate.errors.map(({ instancePath, message, params }) => `${manifest.kind}${instancePath} ${message} ${JSON.stringify(params)}`);
  };
}

function helm(...values) {
  return spawnSync(helmProgram, values, { encoding: "utf8", timeout: 60_000 });
}

/** The chart with these values. */
function render(values) {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-chart-"));
  try {
    const file = join(folder, "values.yaml");
    writeFileSync(file, stringify(values));
    const linted = helm("lint", "--strict", "--kube-version", kubernetesVersion, chart, "-f", file);
    const rendered = helm("template", "shop", chart, "--namespace", "shop", "--kube-version", kubernetesVersion, "-f", file);
    return {
      faults: [linted, rendered].flatMap(({ status, stdout, stderr }) => (status === 0 ? [] : [stdout + stderr])),
      text: rendered.stdout,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Rendered text as a manifest that is applied without Helm. */
function plain(text, name) {
  const bare = text.replaceAll(/^ *app\.kubernetes\.io\/managed-by: Helm\n/gm, "").replaceAll(/^# Source: .*\n/gm, "");
  return `# The chart of deploy/helm with its values for a ${name} gateway: change the image, then kubectl apply -f. Written by npm run kubernetes.\n${bare}`;
}

function main() {
  const whyNot = bringHelm();
  if (whyNot !== undefined) {
    console.error(`mayfly: no helm: ${whyNot}`);
    process.exitCode = 1;
    return;
  }
  const check = checks();
  const faults = [];
  let checked = 0;
  for (const [name, values] of Object.entries(variants)) {
    const { faults: own, text } = render(values);
    faults.push(...own.map((fault) => `${name}: ${fault}`));
    for (const document of parseAllDocuments(text)) {
      const manifest = document.toJS();
      if (manifest === null) continue;
      checked += 1;
      faults.push(...check(manifest).map((fault) => `${name}: ${fault}`));
    }
    if (name !== "cluster" && name !== "single") continue;
    const file = join(root, "deploy", "kubernetes", `${name}.yaml`);
    if (process.env.UPDATE === "1") writeFileSync(file, plain(text, name));
    else if (!existsSync(file) || readFileSync(file, "utf8") !== plain(text, name))
      faults.push(`${file} is stale: run \`UPDATE=1 npm run kubernetes\``);
  }
  for (const [values, words] of refused) {
    const { faults: own } = render(values);
    if (!own.some((fault) => words.test(fault))) faults.push(`${JSON.stringify(values)} is not refused with ${words}: ${own.join("; ")}`);
  }
  // The check must be able to find something.
  if (check({ kind: "Service", apiVersion: "v1", spec: { port: 80 } }).length === 0) faults.push("the schemas find nothing");
  for (const fault of faults) console.error(fault);
  console.log(`${checked} manifests of ${Object.keys(variants).length} sets of values checked, ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
