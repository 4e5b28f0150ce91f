// Builds what runs inside a machine: kernel/native (AssemblyScript), kernel/runtime (TypeScript, one script), the
// write-tracking form of both modules that the embedded monitor runs, and the engine that images are booted with.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

async function buildNative(root, layout) {
  const asc = await import("assemblyscript/asc");
  const files = new Map();
  const { error, stderr } = await asc.main(
    [
      join("kernel", "native", "door.ts"),
      "--baseDir",
      root,
      "--outFile",
      "native.wasm",
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      "--importTable",
      "--memoryBase",
      String(layout.nativeBase),
      "--tableBase",
      String(layout.engineTable),
      "--use",
      "abort=",
      "--disable",
      "nontrapping-f2i",
    ],
    { writeFile: (name, contents) => void files.set(name, contents) },
  );
  if (error) throw new Error(`AssemblyScript: ${error.message}\n${stderr.toString()}`);
  return files.get("native.wasm");
}

/** The natives of keys (kernel/native/crypto.ts): exports that an executable of a flow without keys does without. */
const keyNatives = ["js_aes", "js_curve", "js_edwards", "js_modularPower", "js_repeatHmac", "js_rsaPrivate"];
/** Those of other parts of the runtime: formats, compression, structuredClone, charsets of several bytes a character. */
const partNatives = [
  "js_inflate",
  "js_deflate",
  "js_clone",
  "js_csv",
  "js_csvText",
  "js_unlikeRows",
  "js_xml",
  "js_xmlText",
  "js_decodeMultibyte",
  "js_encodeMultibyte",
];

/** The natives without those named, which trap, and what only they call. Their places in the table stay, and every address. */
async function without(native, names) {
  const { default: binaryen } = await import("binaryen");
  const module = binaryen.readBinary(native);
  const { BulkMemory, MutableGlobals, SignExt } = binaryen.Features;
  module.setFeatures(BulkMemory | MutableGlobals | SignExt); // the compiler does not read newer encodings
  for (const name of names) {
    const { value } = binaryen.getExportInfo(module.getExport(name));
    const { params, results } = binaryen.getFunctionInfo(module.getFunction(value));
    module.removeExport(name);
    module.removeFunction(value);
    module.addFunction(value, params, results, [], module.unreachable());
  }
  module.runPasses(["remove-unused-module-elements"]);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/** The layer below the engine where a machine is a Linux process; it has a memory of its own. `entry` lies in kernel/platform-linux. */
export async function buildPlatform(root, entry) {
  const asc = await import("assemblyscript/asc");
  const files = new Map();
  const options = ["-O3", "--noAssert", "--runtime", "stub", "--initialMemory", "16", "--use", "abort=", "--disable", "nontrapping-f2i"];
  options.push("--debug"); // names of functions, for traps, debuggers and profilers
  const { error, stderr } = await asc.main(
    [join("kernel", "platform-linux", entry), "--baseDir", root, "--outFile", "platform.wasm", ...options],
    { writeFile: (name, contents) => void files.set(name, contents) },
  );
  if (error) throw new Error(`AssemblyScript: ${error.message}\n${stderr.toString()}`);
  return files.get("platform.wasm");
}

/** The drivers of bare metal: their memory is the physical one, their data lies where map.ts says. `entry` lies in kernel/drivers. */
export async function buildDrivers(root, memoryBase, entry) {
  const asc = await import("assemblyscript/asc");
  const files = new Map();
  const options = [
    "-O3",
    "--noAssert",
    "--runtime",
    "stub",
    "--memoryBase",
    String(memoryBase),
    "--use",
    "abort=",
    "--disable",
    "nontrapping-f2i",
  ];
  options.push("--debug"); // names of functions, for the console
  const { error, stderr } = await asc.main([join("kernel", "drivers", entry), "--baseDir", root, "--outFile", "drivers.wasm", ...options], {
    writeFile: (name, contents) => void files.set(name, contents),
  });
  if (error) throw new Error(`AssemblyScript: ${error.message}\n${stderr.toString()}`);
  return files.get("drivers.wasm");
}

/**
 * The network: a memory of its own, which the host makes as large as it likes before the start. `entry` lies in kernel/net; `tokens`: with the code
 * that judges tokens (kernel/net/service/variant.ts).
 */
export async function buildNet(root, entry, tokens = false) {
  const asc = await import("assemblyscript/asc");
  const files = new Map();
  const options = ["-O3", "--noAssert", "--runtime", "stub", "--memoryBase", "1024", "--use", "abort=", "--disable", "nontrapping-f2i"];
  options.push("--debug"); // names of functions, for the console and for tests
  if (tokens) options.push("--use", "TAKES_TOKENS=1");
  const { error, stderr } = await asc.main([join("kernel", "net", entry), "--baseDir", root, "--outFile", "net.wasm", ...options], {
    writeFile: (name, contents) => void files.set(name, contents),
  });
  if (error) throw new Error(`AssemblyScript: ${error.message}\n${stderr.toString()}`);
  return files.get("net.wasm");
}

/** The forms of the network in the order of kernel/net-module.ts. */
async function netForms(root) {
  const forms = [];
  for (const entry of ["main.ts", "linux.ts"]) for (const tokens of [false, true]) forms.push(await buildNet(root, entry, tokens));
  return forms;
}

/** Modules behind their lengths, of which most bytes are the same: compressed as one, with a window that all fit in. */
function packedNets(modules) {
  const bytes = Buffer.concat(
    modules.flatMap((module) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(module.length);
      return [length, module];
    }),
  );
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window } = constants;
  return brotliCompressSync(bytes, { params: { [quality]: 11, [window]: 22 } });
}

async function buildRuntime(root) {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [join(root, "kernel", "runtime", "boot.ts")],
    absWorkingDir: root,
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    target: "es2023",
    conditions: ["source"],
    mainFields: ["module", "main"],
    minifySyntax: true,
    legalComments: "none",
    charset: "utf8",
    logLevel: "error",
  });
  return outputFiles[0].contents;
}

/** Files of dist that these import, themselves included. */
function imported(entries) {
  const found = new Set();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    for (const [, name] of readFileSync(file, "utf8").matchAll(/\b(?:from|import) "(\.[^"]+)"/g)) open.push(resolve(dirname(file), name));
  }
  return found;
}

/** Modules that bundles of flows take and Node does not: [path, text], in order. */
async function partModulesOf(root) {
  const kernel = join(root, "dist", "kernel");
  const runtime = join(kernel, "runtime");
  const { partModules } = await import(pathToFileURL(join(runtime, "parts.js")).href);
  const taken = imported(["flow.ts", ...Object.values(partModules)].map((name) => join(runtime, name.replace(/\.ts$/, ".js"))));
  const inNode = imported([join(kernel, "mod.js"), join(runtime, "outside.js")]);
  const files = [...taken].filter((file) => file.startsWith(runtime + sep) && !inNode.has(file)).sort();
  return files.map((file) => [relative(runtime, file).split(sep).join("/"), readFileSync(file, "utf8")]);
}

export async function buildKernel(root) {
  const load = (path) => import(pathToFileURL(join(root, "dist", path)).href);
  const { layout } = await load("kernel/layout.js");
  const { driversAt } = await load("kernel/drivers/map.js");
  const { trackWrites } = await load("monitors/embedded/track.js");
  const { zeroOnFree } = await load("image/clean-free.js");
  const native = await buildNative(root, layout);
  const { noteExhaustion } = await load("image/exhaustion.js");
  const { engineFile } = await load("kernel/engine-file.js");
  const packaged = readFileSync(createRequire(join(root, "package.json")).resolve("quickjs-wasi/quickjs.wasm"));
  const engine = noteExhaustion(packaged);
  const kernel = join(root, "dist", "kernel");
  const embedded = join(root, "dist", "monitors", "embedded");
  const image = join(root, "dist", "image");
  for (const folder of [kernel, embedded, image]) {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) if (/\.(wasm|br|json)$/.test(name)) rmSync(join(folder, name)); // of an earlier build
  }
  writeFileSync(join(kernel, "engine.json"), JSON.stringify(engineFile(packaged, engine)));
  const packed = (module) => brotliCompressSync(module, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } });
  writeFileSync(join(kernel, "native.wasm.br"), packed(native));
  writeFileSync(join(kernel, "native-plain.wasm.br"), packed(await without(native, keyNatives)));
  writeFileSync(join(kernel, "native-bare.wasm.br"), packed(await without(native, [...keyNatives, ...partNatives])));
  writeFileSync(join(kernel, "platform-linux.wasm"), await buildPlatform(root, "main.ts"));
  writeFileSync(join(kernel, "platform-service.wasm.br"), packed(await buildPlatform(root, "service/main.ts")));
  writeFileSync(join(kernel, "drivers.wasm.br"), packed(await buildDrivers(root, driversAt, "main.ts")));
  writeFileSync(join(kernel, "standalone.wasm.br"), packed(await buildDrivers(root, driversAt, "standalone.ts")));
  writeFileSync(join(kernel, "net.br"), packedNets(await netForms(root)));
  writeFileSync(join(kernel, "runtime.js.br"), packed(await buildRuntime(root)));
  writeFileSync(join(kernel, "parts.json.br"), packed(Buffer.from(JSON.stringify(await partModulesOf(root)))));
  writeFileSync(join(image, "engine.json"), JSON.stringify(engineFile(engine, zeroOnFree(engine))));
  writeFileSync(join(embedded, "engine.wasm.br"), packed(trackWrites(engine)));
  writeFileSync(join(embedded, "native.wasm.br"), packed(trackWrites(native)));
}
