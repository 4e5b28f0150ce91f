import { CodedError } from "#base";
import { decodeLimits } from "./limits.ts";
import { malformed } from "./errors.ts";
import { Reader } from "./reader.ts";
import * as read from "./sections.ts";
import type { CustomSection, Export, FunctionBody, FunctionType, Module, ModuleFunction, Section } from "./types.ts";
import { validateModule } from "./validate.ts";

/** Section identifiers in the order they must stand in (spec 5.5.2): data count, 12, before code. */
const order = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

function splitSections(bytes: Uint8Array): { readonly sections: Section[]; readonly customs: CustomSection[] } {
  if (bytes.length > decodeLimits.moduleBytes)
    throw new CodedError("MF_WASM_LIMIT", `the module has ${bytes.length} bytes, ${decodeLimits.moduleBytes} are allowed`);
  const reader = new Reader(bytes, 0, bytes.length);
  const magic = reader.take(4);
  if (magic[0] !== 0 || magic[1] !== 0x61 || magic[2] !== 0x73 || magic[3] !== 0x6d) throw malformed(0, "magic header not detected");
  if (reader.bits32() !== 1) throw malformed(4, "unknown binary version");
  const sections: Section[] = [];
  const customs: CustomSection[] = [];
  let last = -1;
  while (!reader.done) {
    const at = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.at;
    if (size > bytes.length - start) throw malformed(at, "unexpected end: length out of bounds");
    reader.at = start + size;
    sections.push({ id, at, start, end: reader.at });
    if (id === 0) {
      const custom = new Reader(bytes, start, reader.at);
      const name = custom.name();
      customs.push({ name, bytes: bytes.subarray(custom.at, reader.at) });
      continue;
    }
    const place = order.indexOf(id);
    if (place < 0) throw malformed(at, "malformed section id");
    if (place <= last) throw malformed(at, "unexpected content after last section: a section twice or out of order");
    last = place;
  }
  return { sections, customs };
}

/** Function names of the name section (spec 7.4.1). Names are a courtesy: whatever is wrong with them is ignored. */
function functionNames(customs: readonly CustomSection[], exports: readonly Export[]): Map<number, string> {
  const names = new Map<number, string>();
  for (const item of exports) if (item.kind === "function") names.set(item.index, item.name);
  const section = customs.find((custom) => custom.name === "name");
  if (section === undefined) return names;
  try {
    const reader = new Reader(section.bytes, 0, section.bytes.length);
    while (!reader.done) {
      const id = reader.byte();
      const part = reader.take(reader.u32());
      if (id !== 1) continue;
      const list = new Reader(part, 0, part.length);
      for (let left = list.count(decodeLimits.items, "names"); left > 0; left--) names.set(list.u32(), list.name());
    }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
  }
  return names;
}

/**
 * Decodes and validates a module (spec 3 and 5). Total: any bytes give a module or a `CodedError`:
 * `MF_WASM_MALFORMED`, `MF_WASM_INVALID`, `MF_WASM_UNSUPPORTED` or `MF_WASM_LIMIT`.
 */
export function decodeModule(bytes: Uint8Array): Module {
  const { sections, customs } = splitSections(bytes);
  const section = <T>(id: number, absent: T, parse: (reader: Reader) => T): T => {
    const found = sections.find((s) => s.id === id);
    if (found === undefined) return absent;
    const reader = new Reader(bytes, found.start, found.end);
    const value = parse(reader);
    if (!reader.done) throw malformed(reader.at, "section size mismatch");
    return value;
  };
  const types = section<FunctionType[]>(1, [], read.readTypes);
  const imports = section(2, [], read.readImports);
  const functionSection = section(3, [], read.readFunctionSection);
  const tables = section(4, [], read.readTables);
  const memories = section(5, [], read.readMemories);
  const globals = section(6, [], read.readGlobals);
  const exports = section(7, [], read.readExports);
  const start = section<number | undefined>(8, undefined, (reader) => reader.u32());
  const elements = section(9, [], read.readElements);
  const dataCount = section<number | undefined>(12, undefined, (reader) => reader.u32());
  const bodies = section<FunctionBody[]>(10, [], read.readBodies);
  const data = section(11, [], read.readData);
  if (bodies.length !== functionSection.length) throw malformed(bytes.length, "function and code section have inconsistent lengths");
  if (dataCount !== undefined && dataCount !== data.length)
    throw malformed(bytes.length, "data count and data section have inconsistent lengths");

  const imported = <K extends string>(kind: K) => imports.map((i) => i.description).filter((d) => d.kind === kind);
  const importedTypes = imports.flatMap((i) => (i.description.kind === "function" ? [i.description.type] : []));
  const functions = bodies.map((body, i): ModuleFunction => {
    const typeIndex = functionSection[i] as number;
    const type = types[typeIndex] ?? { params: [], results: [] }; // refused by validation when unknown
    return { index: importedTypes.length + i, typeIndex, type, body };
  });
  const module: Module = {
    bytes,
    sections,
    types,
    imports,
    functionTypes: [...importedTypes, ...functionSection],
    tables: [...imports.flatMap((i) => (i.description.kind === "table" ? [i.description.table] : [])), ...tables],
    memories: [...imports.flatMap((i) => (i.description.kind === "memory" ? [i.description.memory] : [])), ...memories],
    globalTypes: [...imports.flatMap((i) => (i.description.kind === "global" ? [i.description.global] : [])), ...globals],
    importedFunctions: importedTypes.length,
    importedTables: imported("table").length,
    importedMemories: imported("memory").length,
    importedGlobals: imported("global").length,
    globals,
    functions,
    exports,
    start,
    elements,
    data,
    customs,
    functionNames: functionNames(customs, exports),
  };
  validateModule(module, dataCount);
  return module;
}
