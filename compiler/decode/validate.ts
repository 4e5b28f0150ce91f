import { validateBody } from "./body.ts";
import { decodeLimits } from "./limits.ts";
import { opcodeInfo, opcodeName } from "./opcodes.ts";
import { invalid, malformed } from "./errors.ts";
import { type ConstantExpression, f32, f64, funcref, i32, i64, type Limits, type Module, type ValueType } from "./types.ts";

const letters: Record<string, ValueType> = { i: i32, l: i64, f: f32, d: f64 };
const arithmetic = new Set(["i32.add", "i32.sub", "i32.mul", "i64.add", "i64.sub", "i64.mul"]);

/** Constant expressions (spec 3.3.10), with the arithmetic of the extended-const proposal. */
function validateConstant(module: Module, expression: ConstantExpression, expected: ValueType, knownGlobals: number): void {
  const stack: number[] = [];
  for (const operator of expression) {
    const info = opcodeInfo(operator.code);
    const name = info?.name ?? "";
    if (name.endsWith(".const")) stack.push(letters[info?.results ?? ""] as number);
    else if (name === "ref.null") stack.push(operator.a);
    else if (name === "ref.func") {
      if (operator.a >= module.functionTypes.length) throw invalid(operator.at, `unknown function ${operator.a}`);
      stack.push(funcref);
    } else if (name === "global.get") {
      const global = operator.a < knownGlobals ? module.globalTypes[operator.a] : undefined;
      if (global === undefined) throw invalid(operator.at, `unknown global ${operator.a}`);
      if (global.mutable) throw invalid(operator.at, "constant expression required: the global is mutable");
      stack.push(global.type);
    } else if (arithmetic.has(name)) {
      const type = letters[info?.results ?? ""] as number;
      if (stack.pop() !== type || stack.pop() !== type) throw invalid(operator.at, "type mismatch");
      stack.push(type);
    } else throw invalid(operator.at, `constant expression required, found ${opcodeName(operator.code)}`);
  }
  if (stack.length !== 1 || stack[0] !== expected) throw invalid(expression[0]?.at, "type mismatch in a constant expression");
}

function validateLimits(limits: Limits, bound: number, what: string): void {
  if (limits.minimum > bound || (limits.maximum ?? 0) > bound) throw invalid(undefined, `${what} size must be at most ${bound}`);
  if (limits.maximum !== undefined && limits.maximum < limits.minimum)
    throw invalid(undefined, `size minimum must not be greater than maximum in a ${what}`);
}

function validateSegments(module: Module): void {
  const globals = module.importedGlobals;
  for (const segment of module.elements) {
    for (const item of segment.items) validateConstant(module, item, segment.type, globals);
    if (segment.mode.kind !== "active") continue;
    const table = module.tables[segment.mode.index];
    if (table === undefined) throw invalid(undefined, `unknown table ${segment.mode.index}`);
    if (table.element !== segment.type) throw invalid(undefined, "type mismatch between table and element segment");
    validateConstant(module, segment.mode.offset, i32, globals);
  }
  for (const segment of module.data) {
    if (segment.mode.kind !== "active") continue;
    if (segment.mode.index >= module.memories.length) throw invalid(undefined, `unknown memory ${segment.mode.index}`);
    validateConstant(module, segment.mode.offset, i32, globals);
  }
}

function validateExports(module: Module): void {
  const names = new Set<string>();
  const spaces = {
    function: module.functionTypes.length,
    table: module.tables.length,
    memory: module.memories.length,
    global: module.globalTypes.length,
  };
  for (const item of module.exports) {
    if (names.has(item.name)) throw invalid(undefined, `duplicate export name ${JSON.stringify(item.name)}`);
    names.add(item.name);
    if (item.index >= spaces[item.kind]) throw invalid(undefined, `unknown ${item.kind} ${item.index}`);
  }
}

/** Functions that `ref.func` may name: those that occur outside function bodies (spec 3.4.10, C.refs). */
function declaredReferences(module: Module): Set<number> {
  const declared = new Set<number>();
  const note = (expression: ConstantExpression): void => {
    for (const operator of expression) if (opcodeName(operator.code) === "ref.func") declared.add(operator.a);
  };
  for (const global of module.globals) note(global.initial);
  for (const segment of module.elements) for (const item of segment.items) note(item);
  for (const item of module.exports) if (item.kind === "function") declared.add(item.index);
  return declared;
}

export function validateModule(module: Module, dataCount: number | undefined): void {
  for (const type of module.functionTypes) if (type >= module.types.length) throw invalid(undefined, `unknown type ${type}`);
  for (const table of module.tables) validateLimits(table.limits, 0xffffffff, "table");
  if (module.memories.length > 1) throw invalid(undefined, "multiple memories");
  for (const memory of module.memories) validateLimits(memory, decodeLimits.memoryPages, "memory");
  for (const global of module.globals) validateConstant(module, global.initial, global.type, module.importedGlobals);
  validateExports(module);
  if (module.start !== undefined) {
    const type = module.types[module.functionTypes[module.start] ?? -1];
    if (type === undefined) throw invalid(undefined, `unknown function ${module.start}`);
    if (type.params.length > 0 || type.results.length > 0) throw invalid(undefined, "start function must take and return nothing");
  }
  validateSegments(module);
  const declared = declaredReferences(module);
  for (const item of module.functions) {
    const usesData = validateBody(module, item, declared);
    if (usesData && dataCount === undefined) throw malformed(item.body.start, "data count section required");
  }
}
