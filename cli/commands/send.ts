/** `mayfly send`: a message into a running gateway, or to any URL. */
import type { Command } from "commander";
import type { Dispatcher } from "undici";
import { headerText } from "#abi";
import { CodedError } from "#base";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, collect, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bodyJson, bodyText, indent, safeText } from "../format.ts";
import { type GivenBody, givenBody, givenHeaders, type MessageFlags } from "../message-input.ts";
import type { Terminal } from "../terminal.ts";

interface SendFlags extends GatewayFlags, MessageFlags {
  readonly id?: string;
  readonly wait: boolean;
  readonly json?: boolean;
}

/** The result of sending a message, by either way. */
interface Sent {
  readonly status: string;
  readonly id?: string | undefined;
  readonly reply?: { readonly status: number; readonly contentType: string; readonly body: Uint8Array } | undefined;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

async function toUrl(url: string, flags: SendFlags, { body, contentType }: GivenBody): Promise<Sent> {
  const headers = givenHeaders(flags, "", contentType);
  if (flags.id !== undefined) headers["idempotency-key"] = flags.id;
  const { request } = await import("undici");
  let response: Dispatcher.ResponseData;
  try {
    response = await request(url, { method: "POST", headers: headers as Record<string, string | string[]>, body });
  } catch (cause) {
    throw new CodedError("MF_GATEWAY_UNREACHABLE", `no answer from ${url}: ${(cause as Error).message}`, { cause });
  }
  const reply = {
    status: response.statusCode,
    contentType: headerText(response.headers["content-type"]) ?? "",
    body: await response.body.bytes(),
  };
  const id = headerText(response.headers["mayfly-message-id"]);
  return { status: reply.status >= 200 && reply.status <= 299 ? "done" : "failed", id, reply };
}

interface OutcomeJson {
  readonly status: string;
  readonly id?: string;
  readonly reply?: {
    readonly status: number;
    readonly contentType: string;
    readonly body: { readonly text?: string; readonly base64?: string };
  };
  readonly failure?: { readonly code: string; readonly message: string };
  readonly code?: string;
  readonly message?: string;
}

async function toFlow(flow: string, { env }: Terminal, flags: SendFlags, { body, contentType }: GivenBody): Promise<Sent> {
  const client = await AdminClient.open(flags, env);
  const query = new URLSearchParams({ wait: String(flags.wait), ...(flags.id === undefined ? {} : { id: flags.id }) });
  const { status, value } = await client.ask(
    "POST",
    `/-/flows/${encodeURIComponent(flow)}/messages?${query}`,
    body,
    givenHeaders(flags, "x-message-", contentType),
  );
  const outcome = value as OutcomeJson & { detail?: string };
  if (outcome.status === undefined || typeof outcome.status !== "string")
    throw new CodedError(outcome.code ?? "MF_GATEWAY_ANSWER", outcome.detail ?? `the gateway answered ${status}`);
  const { reply, failure } = outcome;
  const error = failure ?? (outcome.code === undefined ? undefined : { code: outcome.code, message: outcome.message ?? "" });
  return {
    status: outcome.status,
    id: outcome.id,
    error,
    reply:
      reply === undefined
        ? undefined
        : { ...reply, body: reply.body.text === undefined ? Buffer.from(reply.body.base64 ?? "", "base64") : Buffer.from(reply.body.text) },
  };
}

function show({ out, paint }: Terminal, { status, id, reply, error }: Sent): void {
  const good = status === "done" || status === "accepted" || status === "duplicate";
  if (reply !== undefined)
    out(
      `${paint.bold("reply")} ${reply.status} ${paint.dim(safeText(reply.contentType))}\n${indent(bodyText(reply.body, reply.contentType))}\n`,
    );
  if (error !== undefined) out(`${paint.red(safeText(error.code))}: ${safeText(error.message)}\n`);
  out(`${good ? paint.green(status) : paint.red(status)}${id === undefined ? "" : paint.dim(` ${id}`)}\n`);
}

async function send({ terminal }: Cli, target: string, flags: SendFlags): Promise<number> {
  givenHeaders(flags, "", ""); // wrong use is told before a gateway is looked for
  const body = await givenBody(terminal, flags);
  const sent = /^https?:\/\//.test(target) ? await toUrl(target, flags, body) : await toFlow(target, terminal, flags, body);
  if (flags.json === true) {
    const { reply } = sent;
    const shown = reply === undefined ? {} : { reply: { status: reply.status, contentType: reply.contentType, ...bodyJson(reply.body) } };
    terminal.out(`${JSON.stringify({ ...sent, ...shown }, undefined, 2)}\n`);
  } else show(terminal, sent);
  return ["done", "accepted", "duplicate"].includes(sent.status) ? exitCodes.ok : exitCodes.failed;
}

export function addSend(program: Command, cli: Cli): Command {
  const command = program
    .command("send")
    .description("Send a message to a flow of a running gateway, or POST it to any URL, and show the result.")
    .argument("<flow|url>", "a flow's name, or http://…")
    .option("-m, --message <file>", "the body; - reads standard input (default: empty)")
    .option("-t, --content-type <type>", "its content type (default: by the file's extension)")
    .option("-H, --header <name=value>", "a header; repeatable", collect)
    .option("--id <id>", "the message's id, used to recognise duplicates")
    .option("--no-wait", "do not wait for the reply: return once the message is in the journal")
    .option("-c, --config <file>", "path of mayfly.yaml, to find the gateway", "mayfly.yaml")
    .option(
      "--gateway <url>",
      "address of the gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else the socket beside mayfly.yaml's journal)",
    )
    .option("--token <token>", "http.admin.token, for a gateway given by URL (default: MAYFLY_TOKEN)")
    .addOption(jsonOption())
    .action(action(cli, (target: string, flags: SendFlags) => send(cli, target, flags)));
  return examples(command, [
    ["mayfly send orders -m order.json", "waits for the reply"],
    ["mayfly send orders -m - --no-wait < order.json", "queues the message, retried according to mayfly.yaml"],
    ["mayfly send http://localhost:8080/orders -m order.json", "sends it like any HTTP client"],
  ]);
}
