/** A schedule as people read it: one line for each event, and one for each thing it led to. */
import { fromUtf8 } from "#base";
import type { Deed } from "./matter.ts";
import type { Scenario } from "./scenario.ts";
import { deedsOf } from "./view.ts";
import type { Job, World } from "./world.ts";

export interface Line {
  readonly token: string;
  /** Milliseconds since the beginning. */
  readonly atMs: number;
  readonly event: string;
  readonly happened: readonly string[];
}

const mostText = 160;

function textOf(body: Uint8Array): string {
  if (body.length === 0) return "";
  const text = fromUtf8(body).replace(/[\p{Cc}\s]+/gu, " ");
  return ` ${text.length > mostText ? `${text.slice(0, mostText)}…` : text}`;
}

function deedText({ kind, target, key, body, method, transaction }: Deed, job: string): string {
  if (kind === "send")
    return `${job} sends to ${target}${key === undefined ? "" : ` (${key})`}${textOf(body)}, committed with transaction ${transaction}`;
  return `${job} asks ${method === "" ? "" : `${method} `}${target}${textOf(body)}`;
}

function nameOf({ number, flow, message }: Job): string {
  return `${flow.name} ${message.id}${number === 1 ? "" : ` (job ${number})`}`;
}

function statusText(job: Job, before: Job | undefined): string | undefined {
  const name = nameOf(job);
  switch (job.status) {
    case "asleep": {
      if (before?.at === job.at && before?.status === "asleep") return undefined;
      const { waits = [], timers = [] } = job.at?.reading ?? {};
      const all = [...waits.map((wait) => `${wait.name} (${wait.key})`), ...(timers.length === 0 ? [] : ["time to pass"])];
      return `${name} sleeps, waits for ${all.join(", ")}`;
    }
    case "done":
      return before?.status === "done" ? undefined : `${name} is done`;
    case "dead":
      return before?.status === "dead" ? undefined : `${name} is dead: ${job.failure?.code}: ${job.failure?.message.split("\n")[0]}`;
    case "resting":
      if (before?.status === "resting" && before.attempt === job.attempt) return undefined;
      if (job.failure !== undefined && job.attempt > 1)
        return `${name} failed with ${job.failure.code}: ${job.failure.message.split("\n")[0]}; it is tried again`;
      return before?.status === "awake" ? `${name} begins its transaction again` : undefined;
    case "awake":
      return undefined;
  }
}

function stateLines(world: World, before: World): string[] {
  if (world.states === before.states) return [];
  return [...world.states].flatMap(([place, { version, values }]) => {
    if (before.states.get(place)?.version === version) return [];
    const [flow = "", key = ""] = place.split("\0");
    return [
      `state of ${flow} (${key}) is ${[...values].flatMap(([name, { json }]) => (json === undefined ? [] : `${name}=${json}`)).join(" ")}`,
    ];
  });
}

function eventText(token: string, world: World, before: World): string {
  const again = token.endsWith("+") ? ", once more" : "";
  const plain = token.replace(/\+$/, "");
  const pending = [...before.pending, ...before.repeatable].find((each) => each.token === plain)?.stimulus;
  if (pending !== undefined) {
    const { flow, body } = pending;
    if (pending.kind === "message") return `${flow} gets message ${pending.id}${again}${textOf(body)}`;
    return `${flow} gets signal ${pending.name}${pending.key === undefined ? "" : ` (${pending.key})`}${again}${textOf(body)}`;
  }
  const number = Number(/^[aw](\d+)/.exec(token)?.[1] ?? 0);
  const job = before.jobs.find((each) => each.number === number);
  const name = job === undefined ? "" : nameOf(job);
  if (token === "t") return "time passes";
  if (token === "x") return "the gateway crashes, and starts again";
  if (token.startsWith("a")) {
    const call = /\.(\d+)=/.exec(token)?.[1];
    const asked = job?.at?.reading.openCalls.find((each) => String(each.call) === call);
    return `${asked?.target ?? ""} answers ${name}: ${token.endsWith("=!") ? "no answer in time" : answerText(world, number)}`;
  }
  if (job?.status === "resting") return `${name} is run${job.attempt > 1 ? `, attempt ${job.attempt}` : ""}`;
  return `${name} wakes${wakeText(world, number)}`;
}

function lastEvents(world: World, number: number): readonly { readonly kind: string }[] {
  return world.jobs.find((each) => each.number === number)?.at?.events ?? [];
}

function answerText(world: World, number: number): string {
  const event = lastEvents(world, number).at(-1) as
    | { readonly kind: string; readonly error?: { readonly code: string }; readonly status?: number; readonly body?: Uint8Array }
    | undefined;
  if (event?.kind !== "resolve") return "with its answer";
  return event.error === undefined ? `${event.status}${textOf(event.body ?? new Uint8Array(0))}` : event.error.code;
}

function wakeText(world: World, number: number): string {
  const events = lastEvents(world, number) as readonly { readonly kind: string; readonly id?: string | undefined }[];
  const why = events.flatMap(({ kind, id }) =>
    kind === "signal" ? [id === undefined ? "its time is over" : `signal ${id}`] : kind === "wake" ? ["its time has come"] : [],
  );
  return why.length === 0 ? "" : `: ${[...new Set(why)].join(", ")}`;
}

export function timelineOf(world: World, scenario: Scenario): Line[] {
  const worlds: World[] = [];
  for (let at: World | undefined = world; at?.parent !== undefined; at = at.parent) worlds.unshift(at);
  return worlds.map((each): Line => {
    const before = each.parent as World;
    const known = deedsOf(before.log).length;
    const deeds = deedsOf(each.log).slice(known);
    const changed = each.jobs.filter((job) => before.jobs.find(({ number }) => number === job.number) !== job);
    const actor = changed.at(-1);
    const happened = [
      ...deeds.map((deed) => deedText(deed, actor === undefined ? deed.flow : `${deed.flow} ${deed.messageId}`)),
      ...stateLines(each, before),
      ...changed.flatMap(
        (job) =>
          statusText(
            job,
            before.jobs.find(({ number }) => number === job.number),
          ) ?? [],
      ),
    ];
    return { token: each.token, atMs: each.nowMs - scenario.startMs, event: eventText(each.token, each, before), happened };
  });
}
