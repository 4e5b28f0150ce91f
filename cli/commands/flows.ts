/** `mayfly flows` and `mayfly outlets`: what a running gateway serves, and stopping and starting it by hand. */
import type { Command } from "commander";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { msText, safeText, table } from "../format.ts";
import { gatewayOptions } from "../gateway-options.ts";
import { sayWhoIsSilent } from "../silent-nodes.ts";

interface Flags extends GatewayFlags {
  readonly json?: boolean;
}

interface SideRow {
  readonly side: string;
  readonly image: string;
  readonly done: number;
  readonly failed: number;
  readonly averageMs: number | null;
}

interface FlowRow {
  readonly name: string;
  readonly image: string;
  readonly state: string;
  readonly ready: boolean;
  readonly pending: number;
  readonly running: number;
  readonly outbox: number;
  readonly sleepers: number;
  readonly done: number;
  readonly failed: number;
  readonly dead: number;
  readonly canary: { readonly share: number; readonly sides: readonly SideRow[] } | null;
}

interface Health {
  readonly ready: boolean;
  /** Absent for a caller whom the gateway does not trust. */
  readonly problems?: readonly unknown[];
  readonly remarks?: readonly unknown[];
}

function canaryLines({ name, canary }: FlowRow): string {
  if (canary === null) return "";
  const rows = canary.sides.map(({ side, image, done, failed, averageMs }) => [
    `  ${side}`,
    image.slice(0, 12),
    String(done),
    String(failed),
    averageMs === null ? "" : msText(averageMs),
  ]);
  const title = `\n${name}: ${Math.round(canary.share * 1000) / 10} % of the messages meet a new image\n`;
  return title + table([["  SIDE", "IMAGE", "DONE", "FAILED", "AVERAGE"], ...rows], [2, 3, 4]);
}

async function list({ terminal }: Cli, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const { flows } = (await client.get("GET", "/api/flows")) as { readonly flows: readonly FlowRow[] };
  const health = (await client.ask("GET", "/ready")).value as Health;
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ flows, health }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const rows = flows.map(({ name, state, ready, image, pending, running, sleepers, outbox, done, failed, dead }) => [
    name,
    state === "running" && !ready ? "not ready" : state,
    image.slice(0, 12),
    ...[pending, running, sleepers, outbox, done, failed, dead].map(String),
  ]);
  const titles = ["FLOW", "STATE", "IMAGE", "PENDING", "RUNNING", "ASLEEP", "OUTBOX", "DONE", "FAILED", "DEAD"];
  terminal.out(table([titles, ...rows], [3, 4, 5, 6, 7, 8, 9]));
  for (const flow of flows) terminal.out(canaryLines(flow));
  for (const problem of health.problems ?? []) terminal.out(`${terminal.paint.red("problem")} ${safeText(JSON.stringify(problem))}\n`);
  for (const remark of health.remarks ?? []) terminal.out(`${terminal.paint.yellow("remark")} ${safeText(JSON.stringify(remark))}\n`);
  return exitCodes.ok;
}

/** Asks for a change, and says its result. */
async function change({ terminal }: Cli, path: string, flags: Flags, says: (answer: Record<string, unknown>) => string): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const answer = (await client.get("POST", path)) as Record<string, unknown>;
  const kept = answer["kept"] === false ? "; the journal can't be written, so a restart would forget this" : "";
  terminal.out(flags.json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : `${safeText(says(answer))}${kept}\n`);
  return sayWhoIsSilent(terminal, answer);
}

const turns = [
  {
    word: "pause",
    what: "Take nothing new and begin nothing; what runs ends. Survives a reload and, with a journal on disk, a restart.",
    says: (running: unknown, pending: unknown) => `paused; ${String(running)} running and ${String(pending)} pending in all`,
  },
  { word: "resume", what: "Take and begin messages again.", says: () => "running" },
  {
    word: "drain",
    what: "Take nothing new, and finish what is there: before a change that needs an empty queue.",
    says: (_running: unknown, pending: unknown) => `draining; ${String(pending)} pending`,
  },
] as const;

export function addFlows(program: Command, cli: Cli): Command {
  const flows = program
    .command("flows")
    .description("The flows of a running gateway: state, figures, images and problems; pause, resume and drain them.");
  gatewayOptions(flows.command("ls").description("List them, with a new image beside the current one where there is a canary.")).action(
    action(cli, (flags: Flags) => list(cli, flags)),
  );
  for (const { word, what, says } of turns)
    gatewayOptions(flows.command(word).description(what).argument("<flow>", "name of the flow")).action(
      action(cli, (flow: string, flags: Flags) =>
        change(
          cli,
          `/api/flows/${encodeURIComponent(flow)}/${word}`,
          flags,
          ({ running, pending }) => `${flow}: ${says(running, pending)}`,
        ),
      ),
    );
  return examples(flows, [
    ["mayfly flows ls", "shows state, image and figures of each flow"],
    ["mayfly flows pause orders", "callers get 503, brokers keep their messages"],
    ["mayfly flows resume orders", "ends a pause or a drain"],
  ]);
}

export function addOutlets(program: Command, cli: Cli): Command {
  const outlets = program
    .command("outlets")
    .description("Outlets of a running gateway: pause one while its peer is repaired, and resume it.");
  for (const [word, what] of [
    [
      "pause",
      "Send nothing: sends rest in the outbox, requests fail with MF_OUTLET_PAUSED and are retried. Survives as a paused flow does.",
    ],
    ["resume", "Send what rests, at once."],
  ] as const)
    gatewayOptions(
      outlets.command(word).description(what).argument("<flow>", "name of the flow").argument("<outlet>", "name of the outlet"),
    ).action(
      action(cli, (flow: string, outlet: string, flags: Flags) =>
        change(
          cli,
          `/api/flows/${encodeURIComponent(flow)}/outlets/${encodeURIComponent(outlet)}/${word}`,
          flags,
          ({ state, waiting }) => `${flow}.to.${outlet}: ${String(state)}; ${String(waiting)} to be sent`,
        ),
      ),
    );
  return examples(outlets, [
    ["mayfly outlets pause orders erp", "nothing reaches erp until it is resumed"],
    ["mayfly outlets resume orders erp", "what rested is sent at once"],
  ]);
}
