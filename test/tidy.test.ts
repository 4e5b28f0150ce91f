/** Keeps the house as docs/ARCHITECTURE.md says it is. */
import { deepEqual, ok } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { beginnings, phrases } from "./phrases.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === "node_modules" || entry.name === "dist" || entry.name === "peers" || entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

const files = [...walk(root)].map((path) => relative(root, path));
const sources = files.filter((path) =>
  /^(base|abi|kernel|compiler|image|monitors|gateway|connectors|replay|explore|embed|standalone|telemetry|cluster|dashboard|cli|bench|test|scripts|examples)\/.*\.(tsx?|mjs)$/.test(
    path,
  ),
);

/** Allowed imports of each folder by `#name`, besides its own files. Tests and suites may reach further. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  abi: ["base"],
  kernel: ["abi", "base"],
  compiler: ["base"],
  image: ["compiler", "kernel", "abi", "base"],
  monitors: ["image", "compiler", "kernel", "abi", "base", "monitors"],
  gateway: ["abi", "base", "gateway"],
  connectors: ["gateway/contract", "abi", "base"],
  replay: ["gateway", "gateway/attempt", "monitors", "image", "kernel", "abi", "base"],
  explore: ["replay", "gateway", "monitors", "abi", "base"],
  embed: ["replay", "gateway/attempt", "monitors", "image", "abi", "base"],
  standalone: ["gateway", "monitors", "abi", "base"],
  telemetry: ["gateway/contract", "abi", "base"],
  cluster: ["gateway", "gateway/contract", "abi", "base"],
  dashboard: [],
};

function importsOf(text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\b[^"']*?from\s+["']([^"']+)["']|^import\s+["']([^"']+)["']/gm)].map(
    (match) => (match[1] ?? match[2]) as string,
  );
}

const isTest = (path: string): boolean => /\.(test|case)\.ts$|^test\/|\/testing\/|\/fuzz\/|\/spec\/|\/quickjs\//.test(path);

test("imports run one way, downwards, and through mod.ts", () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const folder = path.split("/")[0] as string;
    const may = allowed[folder];
    if (may === undefined || isTest(path)) continue;
    for (const name of importsOf(readFileSync(join(root, path), "utf8"))) {
      if (name.startsWith("#")) {
        const target = name.slice(1).split("/")[0] as string;
        if (!may.includes(target) && !may.includes(name.slice(1))) wrong.push(`${path} imports ${name}`);
      } else if (name.startsWith(".")) {
        const target = relative(root, resolve(root, dirname(path), name)).split("/")[0] as string;
        // The runtime inside a machine is bundled from source and takes the door's constants as they stand.
        if (target !== folder && !(path.startsWith("kernel/") && ["abi", "base"].includes(target)))
          wrong.push(`${path} reaches into ${name}`);
      }
    }
  }
  deepEqual(wrong, []);
});

/** Rooms of the gateway, bottom to top: each may import those before it, and the files at the top of the gateway may import all. */
const rooms = [
  "contract",
  "memory",
  "history",
  "journal",
  "stored-bodies",
  "http",
  "delivery",
  "approvals",
  "watch",
  "config",
  "functions",
];

function relativeImports(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const dynamic = [...text.matchAll(/\bimport\(\s*["']([^"']+)["']/g)].map(([, name]) => name as string);
  return [...importsOf(text), ...dynamic]
    .filter((name) => name.startsWith("."))
    .map((name) => relative(root, resolve(root, dirname(path), name)));
}

test("rooms of the gateway import downwards, and the gateway no connector", () => {
  const rankOf = (path: string): number => {
    const [, room = "", file] = path.split("/");
    return file === undefined ? rooms.length : rooms.indexOf(room);
  };
  const product = sources.filter((path) => path.startsWith("gateway/") && !isTest(path));
  deepEqual(
    product.filter((path) => rankOf(path) < 0),
    [],
    "a room that the list above lacks",
  );
  deepEqual(
    product.flatMap((path) =>
      relativeImports(path)
        .filter((target) => !target.startsWith("gateway/") || rankOf(target) > rankOf(path))
        .map((target) => `${path} imports ${target}`),
    ),
    [],
  );
});

/** Groups of files that import each other (Tarjan's strongly connected components), dynamic imports included. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const stack: string[] = [];
  const visit = (path: string): number => {
    const own = order.size;
    let lowest = own;
    order.set(path, own);
    stack.push(path);
    for (const next of graph.get(path) ?? []) {
      if (!order.has(next)) lowest = Math.min(lowest, visit(next));
      else if (stack.includes(next)) lowest = Math.min(lowest, order.get(next) as number);
    }
    if (lowest === own) {
      const group = stack.splice(stack.indexOf(path));
      if (group.length > 1) found.push(group.sort());
    }
    return lowest;
  };
  for (const path of graph.keys()) if (!order.has(path)) visit(path);
  return found;
}

test("no files import each other in a circle", () => {
  const product = sources.filter((path) => !isTest(path));
  const known = new Set(product);
  const graph = new Map(product.map((path) => [path, relativeImports(path).filter((target) => known.has(target))]));
  deepEqual(
    cycles(graph).map((group) => group.join(" ↔ ")),
    [],
  );
});

test("cycles are found", () => {
  deepEqual(
    cycles(
      new Map([
        ["a", ["b", "d"]],
        ["b", ["c"]],
        ["c", ["b", "a"]],
        ["d", []],
      ]),
    ),
    [["a", "b", "c"]],
  );
  deepEqual(
    cycles(
      new Map([
        ["a", ["b", "c"]],
        ["b", ["c"]],
        ["c", []],
      ]),
    ),
    [],
  );
});

test("no room of the gateway has a quarter of its lines", () => {
  const lines = new Map<string, number>();
  for (const path of sources.filter((each) => each.startsWith("gateway/") && !isTest(each)))
    lines.set(dirname(path), (lines.get(dirname(path)) ?? 0) + readFileSync(join(root, path), "utf8").split("\n").length);
  const most = [...lines.values()].reduce((sum, count) => sum + count, 0) / 4;
  deepEqual(
    [...lines].filter(([, count]) => count >= most).map(([room, count]) => `${room}: ${count} of ${Math.round(most)} lines`),
    [],
  );
});

/** Connectors that a connector may import, besides shared/: JetStream speaks through the client of NATS. */
const neighbours: Readonly<Record<string, string>> = { jetstream: "nats" };

test("a connector imports its own room and shared/, shared/ no connector", () => {
  const wrong = sources
    .filter((path) => path.startsWith("connectors/") && path !== "connectors/mod.ts" && !isTest(path))
    .flatMap((path) => {
      const room = path.split("/")[1] as string;
      return relativeImports(path)
        .filter((target) => ![room, "shared", neighbours[room]].includes(target.split("/")[1]))
        .map((target) => `${path} imports ${target}`);
    });
  deepEqual(wrong, []);
});

/**
 * Relative paths in quotes, resolved: imports, and worker files named by URL; scripts name what they load from the root. The kernel's
 * parts are handed to their compilers by folder and name, so there a quoted name will do.
 */
function namedBy(path: string, text: string): string[] {
  return [...text.matchAll(/["'`]((?:\.{1,2}|[a-z]+)\/[^"'`\s]*?)(?:\.(?:js|tsx?|mjs|d\.ts)|\$\{[^}]*\})?["'`]/g)].map(([, name]) =>
    relative(root, (name as string).startsWith(".") ? resolve(root, dirname(path), name as string) : join(root, name as string)),
  );
}

test("no file is dead: each is a test, an entry, or named by one that is no test", () => {
  const stem = (path: string): string => path.replace(/(\.d)?\.(tsx?|mjs)$/, "");
  const texts = new Map(sources.map((path) => [path, readFileSync(join(root, path), "utf8")]));
  const named = new Set<string>();
  const fromTests = new Set<string>();
  for (const [path, text] of texts)
    for (const name of namedBy(path, text)) if (name !== stem(path)) (isTest(path) ? fromTests : named).add(name);
  const lives = (path: string): boolean => named.has(stem(path)) || (fromTests.has(stem(path)) && isTest(path));
  const isEntry = (path: string): boolean =>
    /\.test\.ts$|\bmain\.tsx?$|\bmod\.ts$|^scripts\/|^examples\/|^bench\/flows\/|\.d\.ts$/.test(path);
  const isQuoted = (path: string): boolean => {
    const quoted = new RegExp(`["'\`/]${stem(path).split("/").at(-1) as string}(\\.[jt]s)?["'\`]`);
    return path.startsWith("kernel/") && [...texts].some(([other, text]) => other !== path && quoted.test(text));
  };
  deepEqual(
    sources.filter((path) => !isEntry(path) && !lives(path) && !isQuoted(path)),
    [],
  );
});

/** Clock, disk and generator are passed in, so that the journal and delivery run under simulated ones. */
const banned: readonly { readonly call: RegExp; readonly folders: RegExp; readonly except: readonly string[] }[] = [
  { call: /\bDate\.now\(|\bperformance\.now\(/, folders: /^(abi|base|cluster|compiler|connectors|gateway)\//, except: ["base/clock.ts"] },
  // The journal's salt may be passed in; only where it is not, a running gateway draws its own.
  {
    call: /\bMath\.random\(/,
    folders: /^(abi|base|cluster|compiler|connectors|gateway|image|monitors)\//,
    except: ["gateway/journal/log/log-journal.ts", "gateway/journal/log/operations.ts"],
  },
  { call: /\bset(Timeout|Interval)\(/, folders: /^gateway\/(delivery|journal)\//, except: [] },
  { call: /\bprocess\.exit\(/, folders: /^(abi|base|cluster|compiler|connectors|gateway|image|monitors|kernel)\//, except: [] },
  { call: /\beval\(|\bnew Function\(/, folders: /^(abi|base|cli|compiler|connectors|gateway|image|monitors)\//, except: [] },
  // A table without a prototype: base/table.ts.
  {
    call: /\bconst \w+: Readonly<Record<string, (?!JsonSchema).*> = \{/,
    folders: /^(cli|connectors|gateway|kernel\/runtime)\//,
    except: [],
  },
];

test("nothing reaches for clock, randomness or the process where they are passed in", () => {
  const wrong = sources
    .filter((path) => !isTest(path) && !/(^|\/)main\.ts$/.test(path))
    .flatMap((path) => {
      const text = readFileSync(join(root, path), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      return banned
        .filter(({ call, folders, except }) => folders.test(path) && !except.includes(path) && call.test(text))
        .map(({ call }) => `${path}: ${call.source}`);
    });
  deepEqual(wrong, []);
});

/** Folders with bounds outside a limits.ts. An entry that is not needed fails the test. */
const scattered = ["kernel/", "monitors/"];
const bound = /^(?:export )?const (?:(?:most|max|least|min|longest|shortest)[A-Z]\w*|\w+At(?:Most|Once)) = \(?\d/m;

test("bounds stand together, in the limits.ts of their folder", () => {
  const found = sources.filter(
    (path) =>
      /^(abi|base|cli|cluster|compiler|connectors|gateway|image|kernel|monitors)\//.test(path) &&
      !isTest(path) &&
      !path.endsWith("/limits.ts") &&
      bound.test(readFileSync(join(root, path), "utf8")),
  );
  deepEqual(
    found.filter((path) => !scattered.some((folder) => path.startsWith(folder))),
    [],
  );
  deepEqual(
    scattered.filter((folder) => !found.some((path) => path.startsWith(folder))),
    [],
    "has no bound outside a limits.ts any more: remove it from the exceptions",
  );
});

test("the page puts no text into the document as markup", () => {
  const markup = new RegExp(
    ["inner" + "HTML", "outer" + "HTML", "insertAdjacent" + "HTML", "document\\.write", "srcdoc", "DOMParser", "javascript:"].join("|"),
  );
  deepEqual(
    files.filter((path) => path.startsWith("dashboard/") && markup.test(readFileSync(join(root, path), "utf8"))),
    [],
  );
  deepEqual(
    sources.filter((path) => path.startsWith("dashboard/") && /dangerouslySet/.test(readFileSync(join(root, path), "utf8"))),
    [],
  );
});

test("no open task stands in the code: it belongs into an issue", () => {
  const marks = new RegExp(`\\b(${["TO", "DO"].join("")}|${["FIX", "ME"].join("")}|${["XX", "X"].join("")})\\b`);
  deepEqual(
    sources.filter((path) => marks.test(readFileSync(join(root, path), "utf8"))),
    [],
  );
});

test("no C, no binary and no lockfile address in the tree", () => {
  deepEqual(
    files.filter((path) => !path.startsWith("compiler/fuzz/corpus/") && /\.(c|h|cc|cpp|o|a|so|wasm|mfi|elf)$/.test(path)),
    [],
  );
  ok(!readFileSync(join(root, "package-lock.json"), "utf8").includes('"resolved"'));
});

test("links in the documentation lead somewhere", () => {
  const broken: string[] = [];
  for (const path of files.filter((name) => name.endsWith(".md"))) {
    const text = readFileSync(join(root, path), "utf8").replace(/```[\s\S]*?```/g, "");
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      if (!existsSync(resolve(root, dirname(path), target))) broken.push(`${path} → ${target}`);
    }
  }
  deepEqual(broken, []);
});

test("every test file is one that can run: it imports node:test, or a suite that does", () => {
  const lame = sources.filter((path) => path.endsWith(".test.ts") && !/node:test|\.case\.ts/.test(readFileSync(join(root, path), "utf8")));
  deepEqual(lame, []);
});

/** Comments of a source file, each as one line without its marks, with the line it begins on. */
function* comments(text: string): Generator<{ readonly line: number; readonly comment: string }> {
  for (const { 0: mark, index } of text.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/ .*$/gm)) {
    const comment = mark.replace(/^\/\*+\s*|\s*\*\/$|^\/\/ /g, "").replace(/\s*\n\s*\*? ?/g, " ");
    yield { line: text.slice(0, index).split("\n").length, comment };
  }
}

test("sentences are plain: no phrase of phrases.ts in sources and documents, no comment begins with one of its beginnings", () => {
  const wrong: string[] = [];
  for (const path of files.filter((name) => /\.(tsx?|mjs|md|yml)$/.test(name) && name !== "test/phrases.ts")) {
    const text = readFileSync(join(root, path), "utf8");
    for (const [index, line] of text.split("\n").entries())
      for (const { pattern, instead } of phrases)
        if (pattern.test(line)) wrong.push(`${path}:${index + 1}: ${pattern.exec(line)?.[0] ?? ""}: write ${instead}`);
    if (path.endsWith(".md")) continue;
    for (const { line, comment } of comments(text))
      for (const { pattern, instead } of beginnings)
        if (pattern.test(comment)) wrong.push(`${path}:${line}: ${comment.slice(0, 40)}: begin with ${instead}`);
  }
  deepEqual(wrong, []);
});

test("every test file has a row in docs/TESTING.md, by its name or its folder", () => {
  const rows = new Set(readFileSync(join(root, "docs", "TESTING.md"), "utf8").match(/(?<=`)[\w./-]+(?=`)/g));
  const isNamed = (path: string): boolean => {
    const folder = dirname(path);
    return [path, `${folder}/`, ...(/\/.*\//.test(folder) ? [`${dirname(folder)}/`] : [])].some((name) => rows.has(name));
  };
  deepEqual(
    sources.filter((path) => path.endsWith(".test.ts") && !isNamed(path)),
    [],
  );
  deepEqual(
    [...rows].filter((row) => /\/$|^\w+\/.*\.ts$/.test(row) && !existsSync(join(root, row))),
    [],
    "rows of what is no longer there",
  );
});
