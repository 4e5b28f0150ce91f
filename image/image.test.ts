import { deepEqual, equal, match, notEqual, ok, rejects, throws } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { prng } from "#base";
import { outletsInTypes } from "./build.ts";
import { embeddedMonitor } from "../monitors/mod.ts";
import { deliver } from "../monitors/monitor.case.ts";
import { buildImage, type Image, loadImage, readImage } from "./mod.ts";

const plain = 'import { flow } from "mayfly"; export default flow<"a" | "b">((msg) => msg.text());';

describe("building an image", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mayfly-image-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function file(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  async function build(name: string, text: string, check = false): Promise<Image> {
    return (await buildImage(await file(name, text), { check })).image;
  }

  async function failsWith(name: string, text: string, code: string, message: RegExp, check = false): Promise<void> {
    await rejects(build(name, text, check), (error: { code?: string; message: string }) => {
      equal(error.code, code, error.message);
      match(error.message, message);
      return true;
    });
  }

  test("the same source gives the same bytes, wherever it lies; another source gives others", async () => {
    const one = await build("one/flow.ts", plain);
    const two = await build("two/flow.ts", plain);
    equal(one.sha256, two.sha256);
    deepEqual(one.manifest.outlets, ["a", "b"]);
    notEqual((await build("three/flow.ts", plain.replace("text()", "id"))).sha256, one.sha256);
  });

  test("classes and functions keep the names their authors gave them", async () => {
    await file("names/one.ts", "export class AppError extends Error {} export function help() {}");
    const text = `import { flow } from "mayfly"; import * as one from "./one.ts"; class AppError extends Error {} class URL2 {} function help() {}
export default flow(() => [one.AppError, AppError, URL2, one.help, help, URL, URLSearchParams, Headers].map((each) => each.name));`;
    const image = await build("names/flow.ts", text);
    const monitor = embeddedMonitor({ workers: 1 });
    try {
      const { effects } = await monitor.start(await monitor.load(image), deliver()).first;
      const reply = effects.at(-1) as { readonly reply?: { readonly body: Uint8Array } };
      deepEqual(JSON.parse(new TextDecoder().decode(reply.reply?.body)), [
        "AppError",
        "AppError",
        "URL2",
        "help",
        "help",
        "URL",
        "URLSearchParams",
        "Headers",
      ]);
    } finally {
      await monitor.close();
    }
  });

  /** The reply of a flow, parsed. */
  async function reply(name: string, text: string): Promise<unknown> {
    const monitor = embeddedMonitor({ workers: 1 });
    try {
      const { effects, failure } = await monitor.start(await monitor.load(await build(name, text)), deliver()).first;
      const last = effects.at(-1) as { readonly reply?: { readonly body: Uint8Array } };
      return failure ?? JSON.parse(new TextDecoder().decode(last.reply?.body));
    } finally {
      await monitor.close();
    }
  }

  test("packages come as they are: browser field, conditions of require and import, what is only tried, names in expressions", async () => {
    const pack = (name: string, manifest: object, files: Readonly<Record<string, string>>): Promise<unknown> =>
      Promise.all(
        Object.entries({ "package.json": JSON.stringify({ name, ...manifest }), ...files }).map(([path, code]) =>
          file(`npm/node_modules/${name}/${path}`, code),
        ),
      );
    await file("npm/package.json", "{}");
    await pack(
      "left-out",
      { browser: { fs: false, "./files.js": false, "./here.js": "./there.js" } },
      {
        "index.js": 'exports.all = [typeof require("fs").readFileSync, Object.keys(require("./files")).length, require("./here")];',
        "files.js": 'module.exports = require("child_process");',
        "here.js": 'module.exports = "here";',
        "there.js": 'module.exports = "there";',
      },
    );
    const exports = { import: "./import.mjs", require: "./require.cjs" };
    await pack("two-ways", { exports }, { "import.mjs": 'export default "import";', "require.cjs": 'module.exports = "require";' });
    await pack("asks", {}, { "index.js": 'module.exports = require("two-ways");' });
    await pack("buffer", { main: "b.js" }, { "b.js": 'exports.Buffer = "installed";' });
    await pack(
      "tries",
      {},
      {
        "index.js": `let fs, late; try { fs = require("fs"); } catch { fs = "none"; } try { require("never-installed"); } catch (error) { late = error instanceof Error; }
        exports.found = [fs, late]; exports.Late = class Late {}; exports.early = function early() {};`,
      },
    );
    const text = `import { flow } from "mayfly"; import { all } from "left-out"; import ways from "two-ways"; import asks from "asks"; import { Buffer } from "buffer";
import { Buffer as own } from "node:buffer"; import { found, Late, early } from "tries"; const holder = { hold: class Held {} };
export default flow(() => [all, ways, asks, Buffer, typeof own.from, found, Late.name, early.name, holder.hold.name]);`;
    deepEqual(await reply("npm/flow.js", text), [
      ["undefined", 0, "there"],
      ...["import", "require", "installed", "function"],
      ["none", true],
      ...["Late", "early", "Held"],
    ]);
    await failsWith("npm/asks.js", 'import "untried"; export default 1;', "MF_BUNDLE_FAILED", /npm install untried/);
    await pack("untried", {}, { "index.js": '\nmodule.exports = () => require("net");' });
    await failsWith(
      "npm/asks.js",
      'import "untried"; export default 1;',
      "MF_BUNDLE_FAILED",
      /untried\/index\.js:2:\d+: a machine has no Node module "net"/,
    );
  });

  test("the type check knows what the engine has, and the project's own lib", async () => {
    const modern = `import { flow } from "mayfly";
export default flow(async () => {
  using scope = { [Symbol.dispose]: () => undefined };
  const all = new Set([1]).union(new Set([2]));
  const { promise, resolve } = Promise.withResolvers<number>();
  resolve([...all].values().map((each) => each * 2).toArray().length);
  const groups = Object.groupBy([1, 2], (each) => (each > 1 ? "big" : "small"));
  return [scope === undefined, await promise, await Array.fromAsync([1]), groups.big, new Uint8Array([1]).toBase64()];
});`;
    await build("modern/flow.ts", modern, true);
    await file("old/package.json", "{}");
    await file("old/tsconfig.json", '{ // an older editor\n "compilerOptions": { "lib": ["ES2020", "DOM",], }, }');
    await failsWith("old/flow.ts", modern, "MF_TYPE_ERROR", /The engine has ECMAScript 2025: set compilerOptions\.lib/, true);
    await failsWith("old/page.ts", `${plain}\ndocument.title;`, "MF_TYPE_ERROR", /document/, true);
  });

  test("type errors name file, line and column", async () => {
    await failsWith(
      "types.ts",
      'import { flow } from "mayfly";\nexport default flow<"erp">((msg, { to }) => to.other.send(msg.text()));',
      "MF_TYPE_ERROR",
      /types\.ts:2:\d+: .*other/,
      true,
    );
    await failsWith(
      "types2.ts",
      'import { flow } from "mayfly";\nexport default flow((msg) => process.env.HOME);',
      "MF_TYPE_ERROR",
      /types2\.ts:2:\d+: .*process/,
      true,
    );
    ok(await build("well.ts", plain, true));
  });

  test("a Node built-in is refused with the place and what to use instead", async () => {
    await failsWith(
      "node.ts",
      'import { flow } from "mayfly";\nimport { readFileSync } from "node:fs";\nexport default flow(() => readFileSync("/etc/passwd"));',
      "MF_BUNDLE_FAILED",
      /node\.ts:2:\d+: .*file source/,
    );
    await failsWith(
      "bare.ts",
      'import { flow } from "mayfly";\nimport { connect } from "net";\nexport default flow(() => connect);',
      "MF_BUNDLE_FAILED",
      /bare\.ts:2:\d+: .*an outlet/,
    );
    await failsWith("later.ts", '\nimport "node:sqlite-of-tomorrow";', "MF_BUNDLE_FAILED", /later\.ts:2:\d+: a machine has no Node module/);
  });

  test("what can't be a flow is refused", async () => {
    await failsWith("none.ts", "export const x = 1;", "MF_FLOW_INVALID", /no default export: write `export default flow/);
    await failsWith(
      "awaits.ts",
      "await Promise.resolve();\nexport default 1;",
      "MF_BUNDLE_FAILED",
      /awaits\.ts:1:1: .*await in the handler/,
    );
    await failsWith(
      "rejects-text.ts",
      'import { flow } from "mayfly";\n\nPromise.reject("no table"); export default flow(() => 1);',
      "MF_UNHANDLED_REJECTION",
      /"no table" instead of an Error[^]*rejects-text\.js:\d+:\d+/,
    );
    await failsWith(
      "rejects-later.ts",
      'import { flow } from "mayfly";\nvoid (async () => { await 0; throw "no table"; })(); export default flow(() => 1);',
      "MF_UNHANDLED_REJECTION",
      /"no table" instead of an Error/,
    );
    await failsWith(
      "rejects.ts",
      'import { flow } from "mayfly";\nPromise.reject(new Error("no table")); export default flow(() => 1);',
      "MF_UNHANDLED_REJECTION",
      /no table/,
    );
    await failsWith(
      "greedy.ts",
      'import { flow } from "mayfly"; const all: number[][] = []; for (;;) all.push(new Array(1e6).fill(0)); export default flow(() => 1);',
      "MF_FLOW_TOP_LEVEL",
      /more than 240 MiB/,
    );
    const latin1 = join(folder, "latin1.ts");
    await writeFile(latin1, Buffer.from('import { flow } from "mayfly";\nexport default flow(() => "caf\xe9");', "latin1"));
    await rejects(buildImage(latin1, { check: false }), (error: { code?: string; message: string }) => {
      equal(error.code, "MF_BUNDLE_FAILED");
      match(error.message, /latin1\.ts:2:1: the line is not UTF-8/);
      return true;
    });
    await failsWith("folder.ts/flow.ts", "export default 1;", "MF_FLOW_INVALID", /export default flow/);
    await rejects(buildImage(join(folder, "folder.ts")), { code: "MF_FLOW_NOT_FOUND" });
    await failsWith("number.ts", "export default 1;", "MF_FLOW_INVALID", /export default flow/);
    await failsWith(
      "throws.ts",
      'import { flow } from "mayfly";\nthrow new Error("no table"); export default flow(() => 1);',
      "MF_FLOW_TOP_LEVEL",
      /no table/,
    );
    await failsWith("syntax.ts", "export default flow(((;", "MF_BUNDLE_FAILED", /syntax\.ts:1:\d+/);
    await failsWith(
      "endless.ts",
      'import { flow } from "mayfly"; for (let i = 0; ; i++) if (i < 0) break; export default flow(() => 1);',
      "MF_FLOW_TOP_LEVEL",
      /took more than/,
    );
    await failsWith(
      "limits.ts",
      'import { flow } from "mayfly"; export default flow({ limits: { memory: "lots" } }, () => 1);',
      "MF_FLOW_INVALID",
      /limits\.memory/,
    );
    await failsWith(
      "limits3.ts",
      'import { flow } from "mayfly"; export default flow({ limits: { memory: ["16MiB"] } } as never, () => 1);',
      "MF_FLOW_INVALID",
      /limits\.memory is not a size such as 16MiB/,
    );
    await failsWith(
      "limits2.ts",
      'import { flow } from "mayfly"; export default flow({ limits: { cpus: 3 } } as never, () => 1);',
      "MF_FLOW_INVALID",
      /cpus/,
    );
    await rejects(buildImage(join(folder, "missing.ts")), { code: "MF_FLOW_NOT_FOUND" });
  });

  test("packages that need no Node API work: zod and dayjs", async () => {
    // The packages are this project's own development dependencies.
    const image = await build(
      "packages.ts",
      'import { flow } from "mayfly"; import { z } from "zod"; import dayjs from "dayjs"; const S = z.object({ d: z.string() }); export default flow((msg) => dayjs(S.parse(msg.json()).d).year());'.replace(
        /"(zod|dayjs)"/g,
        (_, name: string) => JSON.stringify(join(process.cwd(), "node_modules", name)),
      ),
    );
    ok(
      image.manifest.sources.some(({ path }) => path.startsWith("zod/")),
      JSON.stringify(image.manifest.sources.slice(0, 3)),
    );
  });

  test("a corrupt, cut or foreign image is refused with a code, whatever was done to it", async () => {
    const { bytes } = await build("whole.ts", plain);
    const code = (hostile: Uint8Array): string => {
      try {
        readImage(hostile);
        return "taken";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const random = prng(7);
    for (let round = 0; round < 300; round++) {
      const hostile = bytes.slice(0, round % 3 === 0 ? random.below(bytes.length) : bytes.length);
      if (round % 3 !== 0) hostile[random.below(hostile.length)] = (hostile[random.below(hostile.length)] ?? 0) ^ (1 + random.below(255));
      ok(
        ["MF_IMAGE_CORRUPT", "MF_IMAGE_VERSION"].includes(code(hostile)) || Buffer.compare(hostile, bytes) === 0,
        `round ${round}: ${code(hostile)}`,
      );
    }
    const later = bytes.slice();
    later[4] = 2;
    equal(code(later), "MF_IMAGE_VERSION");
    equal(code(new Uint8Array(0)), "MF_IMAGE_CORRUPT");
    await rejects(loadImage(join(folder, "none.mfi")), { code: "MF_IMAGE_NOT_FOUND" });
    throws(() => readImage(Buffer.from("not an image, but long enough to be looked at, surely")), { code: "MF_IMAGE_CORRUPT" });
  });
});

test("outlets are read from the flow's type parameter, a union in place or a named one", () => {
  deepEqual(outletsInTypes('flow<"a" | "b-c">(async () => {})'), ["a", "b-c"]);
  deepEqual(outletsInTypes('type Out =\n  | "x"\n  | "y";\nexport default flow<Out>((msg) => 1)'), ["x", "y"]);
  deepEqual(outletsInTypes("flow<never>(() => 1)"), []);
  equal(outletsInTypes("flow(() => 1)"), null);
  equal(outletsInTypes("flow<Names[number]>(() => 1)"), null);
});
