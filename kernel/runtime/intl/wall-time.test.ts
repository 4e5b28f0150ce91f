/** `zone(…)`: beside Node's Intl, and beside the library that runs cron sources. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cron } from "croner";
import fc from "fast-check";
import { deliverBody, run } from "../testing/fake-machine.ts";
import { FlowError, zone } from "../outside.ts";
import { listedZones } from "./zones.ts";

const steady = listedZones().filter((name) =>
  /^(?:Europe\/(?!Kyiv|Chisinau)|America\/(?:New_York|Chicago|Denver|Los_Angeles|St_Johns|Halifax)|Asia\/(?:Tokyo|Kolkata|Kathmandu)|Australia|Pacific\/(?:Auckland|Chatham)|UTC)/.test(
    name,
  ),
);
const codeOf = (make: () => unknown): unknown => {
  try {
    return make();
  } catch (error) {
    return (error as FlowError).code;
  }
};

test("times that come once, twice and never, with each policy", () => {
  const brussels = zone("Europe/Brussels");
  const iso = (local: string, policy?: "compatible" | "earlier" | "later" | "reject"): unknown =>
    codeOf(() => brussels.toUtc(local, policy).toISOString());
  assert.equal(iso("2026-07-01T12:00"), "2026-07-01T10:00:00.000Z");
  assert.equal(iso("2026-07-01"), "2026-06-30T22:00:00.000Z");
  assert.equal(iso("2026-07-01 12:00:01.5", "reject"), "2026-07-01T10:00:01.500Z");
  assert.equal(iso("2026-03-29T02:30"), "2026-03-29T01:30:00.000Z");
  assert.equal(iso("2026-03-29T02:30", "later"), "2026-03-29T01:30:00.000Z");
  assert.equal(iso("2026-03-29T02:30", "earlier"), "2026-03-29T00:30:00.000Z");
  assert.equal(iso("2026-03-29T02:30", "reject"), "MF_ZONE_GAP");
  assert.equal(iso("2026-03-29T02:00", "reject"), "MF_ZONE_GAP");
  assert.equal(iso("2026-03-29T03:00", "reject"), "2026-03-29T01:00:00.000Z");
  assert.equal(iso("2026-10-25T02:30"), "2026-10-25T00:30:00.000Z");
  assert.equal(iso("2026-10-25T02:30", "earlier"), "2026-10-25T00:30:00.000Z");
  assert.equal(iso("2026-10-25T02:30", "later"), "2026-10-25T01:30:00.000Z");
  assert.equal(iso("2026-10-25T02:30", "reject"), "MF_ZONE_TWICE");
  assert.equal(brussels.toLocal(new Date("2026-03-29T01:30:00Z")), "2026-03-29T03:30:00");
  assert.equal(brussels.toLocal(5), "1970-01-01T01:00:00.005");
});

test("texts and values that are no time, policy or zone", () => {
  const utc = zone("utc");
  assert.equal(utc.name, "UTC");
  for (const text of [
    "",
    "2026-02-30T00:00",
    "2026-01-01T24:00",
    "2026-01-01T00:00Z",
    "2026-01-01T00:00+02:00",
    "1.1.2026",
    5,
    null,
    undefined,
  ])
    assert.equal(
      codeOf(() => utc.toUtc(text as string)),
      "MF_ZONE_TIME",
      String(text),
    );
  assert.equal(
    codeOf(() => utc.toUtc("2026-01-01", "sooner" as "later")),
    "MF_ZONE_TIME",
  );
  for (const date of ["2026-01-01", Number.NaN, new Date("x"), undefined, 8e15, -1e15])
    assert.equal(
      codeOf(() => utc.toLocal(date as Date)),
      "MF_ZONE_TIME",
      String(date),
    );
  for (const name of ["", "Europe/Brussel", 5, undefined, {}])
    assert.equal(
      codeOf(() => zone(name as string)),
      "MF_ZONE_UNKNOWN",
    );
});

test("an instant's local time is Node's, and leads back to it, or to the other that has the same", () => {
  fc.assert(
    fc.property(fc.constantFrom(...steady), fc.integer({ min: 0, max: Date.UTC(2037, 0, 1) }), (name, timeMs) => {
      const local = zone(name).toLocal(timeMs);
      const node = new Date(timeMs).toLocaleString("sv-SE", { timeZone: name });
      assert.equal(local.slice(0, 19).replace("T", " "), node);
      const found = (["earlier", "later"] as const).map((policy) => zone(name).toUtc(local, policy).getTime());
      assert.ok(found.includes(timeMs), `${name} ${local}`);
      const strict = codeOf(() => zone(name).toUtc(local, "reject").getTime());
      assert.equal(strict, found[0] === found[1] ? timeMs : "MF_ZONE_TWICE");
    }),
    { numRuns: 3000 },
  );
});

test("a cron source runs when a flow says that it is that time; in a gap at its end", () => {
  let gaps = 0;
  const day = fc.constantFrom("03-08", "03-28", "03-29", "04-05", "09-27", "10-04", "10-25", "11-01", "07-01");
  fc.assert(
    fc.property(
      fc.constantFrom(...steady),
      day,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 59 }),
      (name, date, hour, minute) => {
        const local = `2026-${date}T0${hour}:${String(minute).padStart(2, "0")}`;
        const [month, dayOfMonth] = date.split("-").map(Number);
        const cron = new Cron(`0 ${minute} ${hour} ${dayOfMonth!} ${month!} *`, { timezone: name, paused: true });
        const runs = cron.nextRun(new Date("2026-01-01T12:00:00Z"))!.getTime();
        if (codeOf(() => zone(name).toUtc(local, "reject")) !== "MF_ZONE_GAP") {
          assert.equal(zone(name).toUtc(local).getTime(), runs, `${name} ${local}`);
          return;
        }
        gaps++;
        const [before, at] = [zone(name).toLocal(runs - 1), zone(name).toLocal(runs)];
        assert.ok(before < local && at > local, `${name} ${local}: ${before} ${at}`);
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(gaps > 10, `${gaps} gaps`);
});

test("a flow imports it from mayfly", async () => {
  const source = `import { flow, zone } from "mayfly"; const brussels = zone("Europe/Brussels");
    export default flow((msg) => brussels.toUtc(msg.json().at, "reject").toISOString());`;
  const answer = (await run(source, deliverBody({ at: "2026-07-01T12:00" }))).effects.at(-1);
  assert.ok(
    answer?.kind === "done" && new TextDecoder().decode(answer.reply?.body).includes("2026-07-01T10:00:00.000Z"),
    JSON.stringify(answer),
  );
  const last = (await run(source, deliverBody({ at: "2026-03-29T02:30" }))).effects.at(-1);
  assert.ok(last?.kind === "fail" && last.code === "MF_ZONE_GAP" && !last.retry, JSON.stringify(last));
});
