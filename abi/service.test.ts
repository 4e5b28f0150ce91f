import { deepEqual, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeService, encodeService, type Service, type ServiceFlow, serviceLimits } from "#abi";
import { services } from "./testing/services.ts";

/** With plain objects for the dictionaries that decoders make without a prototype. */
function plain(service: Service): Service {
  return {
    ...service,
    auth: service.auth.map((ways) =>
      ways.map((way) => (way.token === undefined ? way : { ...way, token: { ...way.token, claims: { ...way.token.claims } } })),
    ),
    flows: service.flows.map((flow) => ({
      ...flow,
      values: { ...flow.values },
      outlets: flow.outlets.map((outlet) => ({ ...outlet, headers: { ...outlet.headers } })),
    })),
  };
}

test("a service comes out as it went in", () => {
  fc.assert(
    fc.property(services, (service) => {
      const decoded = decodeService(encodeService(service));
      ok(decoded.ok, decoded.ok ? "" : decoded.error);
      deepEqual(plain(decoded.value), service);
    }),
  );
});

test("damaged services are refused or read, and never throw", () => {
  fc.assert(
    fc.property(services, fc.nat(), fc.nat(255), fc.nat(), (service, at, byte, length) => {
      const frame = encodeService(service);
      frame[at % frame.length] = byte;
      for (const damaged of [frame, frame.subarray(0, length % frame.length)]) {
        const decoded = decodeService(damaged);
        if (decoded.ok) encodeService(decoded.value);
        else ok(decoded.error.length > 0);
      }
    }),
  );
});

test("a service that refers to what it does not have is refused", () => {
  const service = fc.sample(services, { seed: 1, numRuns: 1 })[0] as Service;
  const [flow] = service.flows as [ServiceFlow];
  const route = { path: "/", methods: ["GET"], timeoutMs: 0, bodyLimit: 1, auth: 0, idHeader: "id", fullErrors: false };
  deepEqual(decodeService(encodeService({ ...service, auth: [], flows: [{ ...flow, routes: [route] }] })), {
    ok: false,
    error: "service: record of kind 6: misshapen",
  });
  const values = { a: "x".repeat(serviceLimits.textBytes + 1) };
  ok(!decodeService(encodeService({ ...service, flows: [{ ...flow, values }] })).ok);
  throws(() => encodeService({ ...service, auth: [[]] }), /a group of credentials is empty/);
});

test("a service has a flow at least, each a name of its own and a route", () => {
  const service = fc.sample(services, { seed: 1, numRuns: 1 })[0] as Service;
  const [flow] = service.flows as [ServiceFlow];
  const missing = { ok: false, error: "service: a record is missing" };
  deepEqual(decodeService(encodeService({ ...service, flows: [] })), missing);
  deepEqual(decodeService(encodeService({ ...service, flows: [flow, { ...flow, name: "other", routes: [], schedules: [] }] })), missing);
  deepEqual(decodeService(encodeService({ ...service, flows: [flow, flow] })), {
    ok: false,
    error: "service: record of kind 5: misshapen",
  });
});
