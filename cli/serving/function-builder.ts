/** Builds and trials of what is written in the page: by the library for programs of others, in a process of its own and in machines of its own. */
import { decodeRecording, type Effect, type Recording } from "#abi";
import type { FunctionBuilder, Trial } from "#gateway";

/** Longest text of a trial that is shown, in characters, and how many of each kind. */
const shown = { characters: 16_384, items: 200 } as const;

interface Content {
  readonly contentType: string;
  text(): string;
}

function textOf(content: Content): { readonly contentType: string; readonly text: string } {
  return { contentType: content.contentType, text: content.text().slice(0, shown.characters) };
}

/** An effect as one line; undefined for those that are shown elsewhere. */
function lineOf(effect: Effect): string | undefined {
  switch (effect.kind) {
    case "call":
      return `→ ${effect.operation} ${effect.method === "" ? "" : `${effect.method} `}${effect.target}`;
    case "send":
      return `→ send to ${effect.outlet}, ${effect.body.length} bytes`;
    case "log":
      return `→ log ${effect.level}: ${effect.text.slice(0, 200)}`;
    case "state":
      return `→ state ${effect.name}`;
    case "done":
      return effect.reply === undefined ? "→ done" : `→ done, reply ${effect.reply.status}`;
    case "fail":
      return `→ fail ${effect.code}`;
    default:
      return `→ ${effect.kind}`;
  }
}

function eventsOf({ events, steps }: Recording): string[] {
  const given = [
    "deliver",
    ...events.map((event) => (event.kind === "resolve" ? `answer ${event.error?.code ?? event.status}` : event.kind)),
  ];
  return given.flatMap((event, index) => [event, ...(steps[index]?.effects ?? []).flatMap((effect) => lineOf(effect) ?? [])]);
}

function recordedEvents(bytes: Uint8Array): string[] {
  const decoded = decodeRecording(bytes);
  return decoded.ok ? eventsOf(decoded.value).slice(0, shown.items) : [];
}

/** `monitor`: the gateway's. */
export function functionBuilder(monitor: string): FunctionBuilder {
  return {
    async build(code, name) {
      const { build } = await import("#embed");
      const { bytes, hash } = await build({ code }, { name, check: true });
      return { bytes, sha256: hash };
    },
    async run(image, { body, contentType }, { monitor: own, limits }): Promise<Trial> {
      const { load } = await import("#embed");
      const { memory, cpu, time, sends, log } = limits;
      const host = await load(image, {
        monitor: (own ?? monitor) === "embedded" ? "embedded" : "process",
        workers: 1,
        limits: { memory, cpu, time, sends, logBytes: log },
      });
      try {
        const message = { body, headers: contentType === "" ? {} : { "content-type": contentType }, key: "trial" };
        const result = await host.run(message, { signal: AbortSignal.timeout(time) });
        const { status, error, reply, state = {}, cpuMs } = result;
        return {
          status,
          error: error === undefined ? null : { code: error.code, message: error.message, stack: error.stack?.slice(0, shown.characters) },
          reply: reply === undefined ? null : { status: reply.status, ...textOf(reply) },
          sends: result.sends.slice(0, shown.items).map((send) => ({ outlet: send.outlet, ...textOf(send) })),
          logs: result.logs.slice(0, shown.items).map(({ level, text }) => ({ level, text: text.slice(0, shown.characters) })),
          state,
          cpuMs,
          events: recordedEvents(result.recording),
        };
      } finally {
        await host.close();
      }
    },
  };
}
