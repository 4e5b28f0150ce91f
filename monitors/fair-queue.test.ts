/** The fair queue by itself: CPU time goes by weight, order within a flow is kept, and nothing is lost. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FairJob, FairQueue, reach, type Reach, type Share } from "./fair-queue.ts";

interface Job extends FairJob<string> {
  readonly name: string;
  readonly number: number;
}

const always = (): Reach => reach.all;
const share = (name: string, weight = 1): Share => ({ name, weight });

/** Runs jobs one by one for `ms` of CPU; what each flow had of it. All have work without end. */
function shares(flows: readonly { readonly share: Share; readonly stepMs: number }[], ms: number): Record<string, number> {
  const queue = new FairQueue<Job, string>();
  const used: Record<string, number> = {};
  for (const each of flows)
    for (let number = 0; number < 5000; number++)
      queue.push({ name: each.share.name, number, line: queue.line(each.share), chargedMs: 0, stopped: false }, undefined);
  for (let sum = 0; sum < ms; ) {
    const job = queue.take("here", always);
    ok(job !== undefined);
    const { stepMs } = flows.find((each) => each.share.name === job.name) ?? { stepMs: 0 };
    queue.settle(job, stepMs);
    used[job.name] = (used[job.name] ?? 0) + stepMs;
    sum += stepMs;
  }
  return used;
}

test("flows of short and of long steps have the same CPU time, and by weight", () => {
  const { long = 0, short = 0 } = shares(
    [
      { share: share("long"), stepMs: 50 },
      { share: share("short"), stepMs: 0.5 },
    ],
    2000,
  );
  ok(Math.abs(long - short) <= 100, `${long} and ${short}`);
  const { one = 0, three = 0 } = shares(
    [
      { share: share("one"), stepMs: 2 },
      { share: share("three", 3), stepMs: 2 },
    ],
    2000,
  );
  ok(Math.abs(three / one - 3) < 0.3, `${three} and ${one}`);
});

test("one that comes new waits for one step of another, not for its debt of an hour alone", () => {
  const queue = new FairQueue<Job, string>();
  const [busy, fresh] = [queue.line(share("busy")), queue.line(share("fresh"))];
  for (let number = 0; number < 2000; number++) queue.push({ name: "busy", number, line: busy, chargedMs: 0, stopped: false }, undefined);
  for (let number = 0; number < 1000; number++) queue.settle(queue.take("here", always) as Job, 200);
  queue.push({ name: "fresh", number: 0, line: fresh, chargedMs: 0, stopped: false }, undefined);
  const names = [0, 1].map(() => {
    const job = queue.take("here", always) as Job;
    queue.settle(job, 200);
    return job.name;
  });
  ok(names.includes("fresh"), names.join());
});

test("every job is given once, in its flow's order, and only where it may be", () => {
  const operations = fc.array(fc.record({ flow: fc.nat(3), place: fc.nat(2), takes: fc.nat(3), usedMs: fc.nat(300) }), { maxLength: 200 });
  fc.assert(
    fc.property(operations, (list) => {
      const queue = new FairQueue<Job, string>();
      const lines = [0, 1, 2, 3].map((index) => queue.line(share(String(index), index + 1)));
      const places = ["left", "right", undefined] as const;
      const given: { readonly job: Job; readonly place: string }[] = [];
      const pushed = new Map<Job, string | undefined>();
      const take = (place: "left" | "right", usedMs: number): boolean => {
        const job = queue.take(place, always);
        if (job === undefined) return false;
        given.push({ job, place });
        queue.settle(job, usedMs);
        return true;
      };
      for (const [number, { flow, place, takes, usedMs }] of list.entries()) {
        const job: Job = { name: String(flow), number, line: lines[flow] as Job["line"], chargedMs: 0, stopped: false };
        pushed.set(job, places[place]);
        queue.push(job, places[place]);
        for (let i = 0; i < takes; i++) take(i % 2 === 0 ? "left" : "right", usedMs);
      }
      while (take("left", 1) || take("right", 1));
      equal(queue.length, 0);
      deepEqual(new Set(given.map(({ job }) => job)), new Set(pushed.keys()));
      equal(given.length, pushed.size);
      const last = new Map<string, number>();
      for (const { job, place } of given) {
        const bound = pushed.get(job);
        ok(bound === undefined || bound === place);
        const lane = `${job.name} ${bound}`;
        ok((last.get(lane) ?? -1) < job.number, "in order");
        last.set(lane, job.number);
      }
      for (const line of lines) equal(line.underWay, 0);
    }),
    { numRuns: 300 },
  );
});
