import assert from "node:assert/strict";
import { test } from "node:test";
import { CodedError } from "#base";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { brokerLimits } from "./limits.ts";
import { Link, type Opening } from "./link.ts";
import { testContext } from "../testing/rig.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Attempt {
  readonly lost: (error: unknown) => void;
  /** The connection is there. */
  succeed(): void;
  fail(error: Error): void;
  closed: boolean;
}

/** A link whose attempts end when the test says so. */
function bench(): { link: Link<object>; attempts: Attempt[]; clock: ManualClock; losses: () => number } {
  const clock = new ManualClock();
  const attempts: Attempt[] = [];
  let losses = 0;
  const link = new Link<object>({
    context: { ...testContext(), clock },
    peer: "peer",
    explain: (error) => new CodedError("MF_TEST", String(error)),
    onLost: () => (losses += 1),
    open: ({ lost, own }: Opening) =>
      new Promise((resolve, reject) => {
        const attempt: Attempt = {
          lost,
          closed: false,
          succeed: () => resolve(own({ close: () => void (attempt.closed = true) })),
          fail: reject,
        };
        attempts.push(attempt);
      }),
  });
  return { link, attempts, clock, losses: () => losses };
}

test("stop waits for an attempt that is under way, and closes what it opens", async () => {
  const { link, attempts } = bench();
  void link.start();
  let stopped = false;
  const stopping = link.stop().then(() => (stopped = true));
  await turn();
  assert.equal(stopped, false, "the session that is being opened may have acknowledgements on their way");
  attempts[0]?.succeed();
  await stopping;
  assert.equal(attempts[0]?.closed, true);
  assert.equal(link.session, undefined);
});

test("stop does not wait for ever for an attempt that hangs, nor for one that has failed", async () => {
  const hanging = bench();
  void hanging.link.start();
  const stopping = hanging.link.stop();
  await turn();
  hanging.clock.advance(brokerLimits.closeMs);
  await stopping;
  hanging.attempts[0]?.succeed();
  await turn();
  assert.equal(hanging.attempts[0]?.closed, true, "what it opens later is closed as well");

  const failing = bench();
  const started = failing.link.start();
  failing.attempts[0]?.fail(new Error("no"));
  await started;
  await failing.link.stop();
  failing.clock.advance(3_600_000);
  await turn();
  assert.equal(failing.attempts.length, 1, "no attempt after stop");
});

test("what came over an attempt that fails before it is through is forgotten, as what came over a lost session is", async () => {
  const { link, attempts, clock, losses } = bench();
  const started = link.start();
  attempts[0]?.fail(new Error("refused in the middle"));
  await started;
  assert.equal(losses(), 1);
  clock.advance(1_000); // longer than the first backoff, shorter than an attempt may take
  await turn();
  attempts[1]?.succeed();
  await turn();
  assert.equal(link.health().ready, true);
  attempts[1]?.lost(new Error("cut"));
  attempts[1]?.lost(new Error("cut"));
  assert.equal(losses(), 2, "once a session");
  assert.equal(link.health().ready, false);
  await link.stop();
});

test("owned resources are closed once, last first, also after a failed attempt; one that hangs or throws keeps none from it", async () => {
  const closed: string[] = [];
  const clock = new ManualClock();
  let attempts = 0;
  let end: (error: unknown) => void = () => undefined;
  const link = new Link<object>({
    context: { ...testContext(), clock },
    peer: "peer",
    explain: (error) => new CodedError("MF_TEST", String(error)),
    async open({ lost, own }) {
      const attempt = ++attempts;
      end = lost;
      own({ close: () => void closed.push(`first of ${attempt}`) });
      own({ close: () => new Promise<void>(() => closed.push(`hanging of ${attempt}`)) });
      own({
        close: () => {
          closed.push(`throwing of ${attempt}`);
          throw new Error("no");
        },
      });
      if (attempt === 1) throw new Error("refused");
      return {};
    },
  });
  const started = link.start();
  await turn();
  assert.deepEqual(closed.splice(0), ["throwing of 1", "hanging of 1", "first of 1"]);
  clock.advance(brokerLimits.closeMs); // also past the backoff
  await started;
  await turn();
  assert.equal(link.health().ready, true);
  end(new Error("cut"));
  await turn();
  assert.deepEqual(closed.splice(0), ["throwing of 2", "hanging of 2", "first of 2"]);
  const stopped = link.stop();
  clock.advance(brokerLimits.closeMs);
  await stopped;
  assert.deepEqual(closed, []);
});
