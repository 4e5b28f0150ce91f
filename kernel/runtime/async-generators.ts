/**
 * Mends a fault of the engine: calls of an async generator that queue behind its `return()` never settle, nor do any after them. Here
 * they are held back until that has settled, so that there is no such queue.
 */
type Method = (this: object, value?: unknown) => Promise<unknown>;

/** Generators whose `return()` is under way, and the end of that. */
const ending = new WeakMap<object, Promise<void>>();

/** `given`, and its end in `ending` until then. Who is given it is also who handles its failure. */
function whileEnding(generator: object, given: Promise<unknown>): Promise<unknown> {
  let settle: () => void = () => undefined;
  const end = new Promise<void>((resolve) => (settle = resolve));
  ending.set(generator, end);
  const over = (): void => {
    if (ending.get(generator) === end) ending.delete(generator);
    settle();
  };
  return given.finally(over);
}

export function mendAsyncGenerators(): void {
  const { prototype } = Object.getPrototypeOf(async function* () {}) as { prototype: Record<string, Method> };
  for (const name of ["next", "return", "throw"] as const) {
    const original = prototype[name] as Method;
    // A method that has the original's name and length.
    const { [name]: mended } = {
      [name](this: object, _value: unknown): Promise<unknown> {
        const values = arguments as unknown as [unknown];
        const before = typeof this === "object" && this !== null ? ending.get(this) : undefined;
        const call = (): Promise<unknown> => Reflect.apply(original, this, values) as Promise<unknown>;
        const given = before === undefined ? call() : before.then(call);
        return name === "return" && typeof this === "object" && this !== null ? whileEnding(this, given) : given;
      },
    };
    Object.defineProperty(prototype, name, { value: mended, writable: true, configurable: true });
  }
}
