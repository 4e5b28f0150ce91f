/** Web Platform Tests: each file with its scripts and the harness is a flow, its tests run in one machine of it, in virtual time. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type CaseResult, failed, passed, type Suite, type SuiteOptions } from "./case.ts";
import { flowMachine } from "./machine.ts";

/** Globals of a page or a worker that tests ask for. */
const preamble = `
globalThis.self ??= globalThis;
globalThis.GLOBAL ??= { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false };
for (const name of ["Blob", "File", "FileList", "ImageData", "ImageBitmap"]) globalThis[name] ??= class {};
globalThis.location ??= { search: "", pathname: "/", href: "https://web-platform.test/", origin: "https://web-platform.test" };
`;

/** Relative addresses are resolved against the page's, which a machine does not have. */
const pageShim = `
const Request = class Request extends globalThis.Request {
  constructor(input, init) {
    super(typeof input === "string" ? new URL(input, location.href).href : input, init);
  }
};
`;

/** Files of one folder that \`fetch\` of a relative name gives. */
const resourcesShim = (files: Readonly<Record<string, string>>): string => `
const resources = ${JSON.stringify(files)};
const fetch = async (name) => new Response(resources[String(name).split("/").at(-1)]);
`;

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (/\.any\.js$/.test(entry.name)) yield path;
  }
}

/** Scripts of the suite that are not with it, as far as the tests need them here. */
const standIns: Readonly<Record<string, string>> = {
  "subset-tests-by-key.js":
    "function subsetTestByKey(_key, run, ...values) { return run(...values); } function shouldRunSubTest() { return true; }",
  "get-host-info.sub.js":
    'function get_host_info() { return { HTTP_ORIGIN: "http://web-platform.test", HTTPS_ORIGIN: "https://web-platform.test", REMOTE_ORIGIN: "http://other.test" }; }',
  "utils.js": `function token() { return crypto.randomUUID(); }
const RESOURCES_DIR = "../resources/";
function validateBufferFromString(buffer, expected, what) { assert_equals(new TextDecoder().decode(buffer), expected, what); }`,
  "sab.js":
    "function createBuffer(type, length) { if (type !== 'ArrayBuffer') throw new Error('no shared memory'); return new ArrayBuffer(length); }",
};

function textOf(script: string): string {
  return existsSync(script) ? readFileSync(script, "utf8") : (standIns[basename(script)] ?? "");
}

function scriptsOf(root: string, path: string): string[] {
  const text = readFileSync(path, "utf8");
  const named = [...text.matchAll(/^\/\/ META: script=(\S+)/gm)].map(([, name = ""]) =>
    name.startsWith("/") ? join(root, name) : join(dirname(path), name),
  );
  return [...named, path];
}

function resourcesOf(path: string): Readonly<Record<string, string>> {
  const folder = join(dirname(path), "resources");
  if (!existsSync(folder)) return {};
  const names = readdirSync(folder).filter((name) => name.endsWith(".json") && readFileSync(path, "utf8").includes(name));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

/** Scripts share one scope, as in a page, and run when the message comes. */
function flowOf(root: string, path: string): string | undefined {
  const scripts = scriptsOf(root, path);
  if (scripts.some((script) => !existsSync(script) && standIns[basename(script)] === undefined)) return undefined;
  const resources = resourcesOf(path);
  const harness = readFileSync(join(root, "resources", "testharness.js"), "utf8");
  return `import { flow } from "mayfly";
export default flow(async () => {
  ${preamble}
  let finished;
  const over = new Promise((resolve) => (finished = resolve));
  ${harness}
  setup({ explicit_timeout: true });
  add_completion_callback((tests, status) => finished({ status, tests: tests.map(({ name, status, message }) => ({ name, status, message })) }));
  (function () {
  ${pageShim}
  ${Object.keys(resources).length === 0 ? "" : resourcesShim(resources)}
  ${scripts.map(textOf).join("\n;\n")}
  })();
  const { status, tests } = await over;
  return new Response(JSON.stringify({ status: status.status, message: status.message, tests }));
});
`;
}

interface Finished {
  readonly status: number;
  readonly message: string | null;
  readonly tests: readonly { readonly name: string; readonly status: number; readonly message: string | null }[];
}

/** Statuses of a test: 0 passed; 3 needs a feature that is optional. */
const isPass = (status: number): boolean => status === 0 || status === 3;

async function runFile(root: string, path: string): Promise<CaseResult[]> {
  const file = relative(root, path);
  const code = flowOf(root, path);
  if (code === undefined) return [failed(file, "a script it names is not in the suite")];
  let machine: Awaited<ReturnType<typeof flowMachine>>;
  try {
    machine = await flowMachine(code);
  } catch (error) {
    return [failed(file, `not built: ${error instanceof Error ? error.message : String(error)}`)];
  }
  try {
    const { reply, failure } = await machine.run(new Uint8Array(0), "");
    if (reply === undefined) return [failed(file, failure)];
    const { status, message, tests } = JSON.parse(reply) as Finished;
    const seen = new Map<string, number>();
    const results = tests.map((each) => {
      const count = (seen.get(each.name) ?? 0) + 1;
      seen.set(each.name, count);
      const name = `${file} › ${each.name}${count > 1 ? ` (${count})` : ""}`;
      return isPass(each.status) ? passed(name) : failed(name, each.message ?? `status ${each.status}`);
    });
    return status === 0 ? results : [...results, failed(file, `the harness: ${message ?? status}`)];
  } finally {
    await machine.close();
  }
}

/** Files of the quick part: quick to run, and of every area. */
const quickFiles =
  /urlsearchparams|url-setters-stripping|textdecoder-(labels|fatal|ignorebom)|headers-(basic|record)|response-(init|static)|Event-constructors|AbortSignal|atob|structured-clone\.any|digest|console-(is|label|namespace)/;

function wptSuite(area: string, about: string): Suite {
  return {
    name: `wpt/${area}`,
    about,
    run: async ({ data, quick, filter }: SuiteOptions) => {
      const root = join(data, "conformance", "wpt");
      const results: CaseResult[] = [];
      for (const path of walk(join(root, area))) {
        if (filter !== undefined && !relative(root, path).includes(filter)) continue;
        if (quick && !quickFiles.test(basename(path))) continue;
        results.push(...(await runFile(root, path)));
      }
      return results;
    },
  };
}

export const wpt: readonly Suite[] = [
  wptSuite("url", "URL, URLSearchParams"),
  wptSuite("encoding", "TextEncoder, TextDecoder"),
  wptSuite("fetch/api/headers", "Headers"),
  wptSuite("fetch/api/request", "Request"),
  wptSuite("fetch/api/response", "Response"),
  wptSuite("dom", "Event, EventTarget, AbortSignal"),
  wptSuite("html", "structuredClone, atob, timers, microtasks"),
  wptSuite("WebCryptoAPI", "crypto"),
  wptSuite("console", "console"),
  wptSuite("hr-time", "performance"),
];
