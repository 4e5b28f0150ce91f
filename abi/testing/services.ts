/** Services as fast-check makes them up. */
import fc from "fast-check";
import type { Service, ServiceAuth, ServiceFlow, ServiceOutlet, ServiceRoute } from "#abi";

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const number = fc.nat(2 ** 31 - 1);
const port = fc.nat(65_535);
const texts = fc.dictionary(name, text, { maxKeys: 3, noNullPrototype: true });

const way: fc.Arbitrary<ServiceAuth> = record<ServiceAuth>({
  type: fc.constantFrom("bearer", "basic", "apiKey"),
  header: name,
  caller: fc.option(name, { nil: undefined }),
  secret: text,
});

const outlet: fc.Arbitrary<ServiceOutlet> = record<ServiceOutlet>({
  name,
  scheme: fc.constant("http"),
  host: name,
  port,
  path: text,
  method: fc.constantFrom("GET", "POST"),
  timeoutMs: number,
  attempts: number,
  backoffMs: record<ServiceOutlet["backoffMs"]>({ least: number, most: number }),
  retryAgeMs: fc.maxSafeNat(),
  basic: fc.option(text, { nil: undefined }),
  headers: texts,
});

const route = (groups: number): fc.Arbitrary<ServiceRoute> =>
  record<ServiceRoute>({
    path: text,
    methods: fc.subarray(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], { minLength: 1 }),
    timeoutMs: number,
    bodyLimit: fc.nat(64 * 1024 * 1024),
    auth: groups === 0 ? fc.constant(undefined) : fc.option(fc.nat(groups - 1), { nil: undefined }),
    idHeader: name,
    fullErrors: fc.boolean(),
  });

const flow = (groups: number): fc.Arbitrary<ServiceFlow> =>
  record<ServiceFlow>({
    name,
    concurrency: number,
    queue: number,
    limits: record<ServiceFlow["limits"]>({ memoryBytes: fc.nat(2 ** 28), cpuMs: number, timeMs: number, sends: number, logBytes: number }),
    routes: fc.array(route(groups), { minLength: 1, maxLength: 4 }),
    outlets: fc.array(outlet, { maxLength: 3 }),
    values: texts,
  });

export const services: fc.Arbitrary<Service> = fc.array(fc.array(way, { minLength: 1, maxLength: 3 }), { maxLength: 3 }).chain((auth) =>
  record<Service>({
    name,
    version: text,
    imageSha256: fc.stringMatching(/^[0-9a-f]{64}$/),
    drainMs: number,
    logLevel: fc.constantFrom("debug", "info", "warn", "error", "silent"),
    port,
    healthPort: port,
    syslog: fc.option(text, { nil: undefined }),
    auth: fc.constant(auth),
    flows: fc.uniqueArray(flow(auth.length), { minLength: 1, maxLength: 3, selector: (each) => each.name }),
  }),
);
