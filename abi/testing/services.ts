/** Services as fast-check makes them up. */
import fc from "fast-check";
import {
  type Service,
  type ServiceAuth,
  type ServiceDates,
  type ServiceFlow,
  type ServiceLine,
  type ServiceOutlet,
  type ServiceRoute,
  type ServiceSchedule,
  type ServiceSignature,
  type ServiceToken,
  signatureForms,
  tokenAlgorithms,
} from "#abi";

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const number = fc.nat(2 ** 31 - 1);
const port = fc.nat(65_535);
const texts = fc.dictionary(name, text, { maxKeys: 3, noNullPrototype: true });

const signature = record<ServiceSignature>({ form: fc.constantFrom(...signatureForms), prefix: text, toleranceMs: number });
const oneLine = fc.stringMatching(/^[^\n]{0,20}$/);
const some = fc.array(oneLine, { minLength: 1, maxLength: 3 });
const token = record<ServiceToken>({
  algorithms: fc
    .shuffledSubarray([...tokenAlgorithms], { minLength: 1 })
    .map((few) => tokenAlgorithms.filter((each) => few.includes(each))),
  issuers: some,
  audiences: some,
  scopes: fc.array(oneLine, { maxLength: 3 }),
  claims: fc.dictionary(name, some, { maxKeys: 3, noNullPrototype: true }),
  toleranceMs: number,
});
const jwt = record<ServiceAuth>({
  type: fc.constant("jwt"),
  header: fc.constant("authorization"),
  caller: fc.constant(undefined),
  secret: text,
  signature: fc.constant(undefined),
  token,
});
const plainWay: fc.Arbitrary<ServiceAuth> = fc.constantFrom<ServiceAuth["type"]>("bearer", "basic", "apiKey", "signature").chain((type) =>
  record<ServiceAuth>({
    type: fc.constant(type),
    header: name,
    caller: fc.option(name, { nil: undefined }),
    secret: text,
    signature: type === "signature" ? signature : fc.constant(undefined),
  }),
);
const way = fc.oneof(plainWay, jwt);

const line = record<ServiceLine>({ name, level: fc.constantFrom("debug", "info", "warn", "error"), text, maxBytes: fc.nat(8192) });
const set = (length: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom("0", "1"), minLength: length, maxLength: length });
const dates = record<ServiceDates>({
  minutes: set(60),
  hours: set(24),
  days: set(31),
  months: set(12),
  weekdays: set(7),
  either: fc.boolean(),
});
const schedule = record<ServiceSchedule>({
  name,
  when: fc.oneof(record<{ readonly everyMs: number }>({ everyMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }) }), dates),
  atStart: fc.boolean(),
  contentType: name,
  body: fc.option(text, { nil: undefined }),
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
  breaker: fc.option(record<{ failures: number; pauseMs: number }>({ failures: number, pauseMs: number }), { nil: undefined }),
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
    lines: fc.array(line, { maxLength: 2 }),
    schedules: fc.array(schedule, { maxLength: 2 }),
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
