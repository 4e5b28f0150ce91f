/** The part `nodevalues`: what modules of Node that have no meaning in a machine hold besides. */

const globals = globalThis as unknown as Record<string, unknown>;

export default {
  os: { EOL: "\n", endianness: (): string => "LE" },
  perfHooks: { performance: globals["performance"] },
};
