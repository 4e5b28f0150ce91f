/** The gateway's recorded messages, as the admin endpoints ask for them; and the way back in: a finished message as a new one. */
import { CodedError } from "#base";
import { parentHeader } from "./contract/lineage.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { Headers, Outcome, ParentMessage } from "./contract/message.ts";
import { storedBodyOf } from "./contract/stored-body.ts";
import type { Cluster } from "./contract/cluster.ts";
import { HistoryEverywhere, type HistorySearch } from "./history-elsewhere.ts";
import type { MessageDetail, ReplayPort } from "./history/history.ts";
import type { History } from "./history/mod.ts";
import { redacted } from "./history/redact.ts";
import { bytesOfShown, type Messages } from "./http/messages.ts";

/** A message as it goes in again. */
export interface Resubmitted {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly correlationId: string | undefined;
  readonly parent: ParentMessage;
  readonly wait: boolean;
}

export interface RecordedPorts {
  readonly memory: GatewayMemory;
  readonly history: History | undefined;
  /** Other nodes, whose messages are searched as well. */
  readonly cluster: Cluster | undefined;
  readonly replay: ReplayPort | undefined;
  readonly now: () => number;
  readonly inject: (flow: string, message: Resubmitted) => Promise<Outcome>;
}

/** Headers of the copy: what was hidden in the record is left out, and so is what the gateway adds by itself. */
function headersAgain(headers: Headers): Headers {
  const ours = new Set(["content-type", "mayfly-correlation-id", parentHeader]);
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => value !== redacted && !ours.has(name)));
}

function bodyAgain({ id, body, headers, redacted: hidden }: MessageDetail): Uint8Array {
  const bytes = storedBodyOf(headers) === undefined ? bytesOfShown(body) : undefined;
  if (bytes === undefined)
    throw new CodedError("MF_HISTORY_NO_BODY", `the body of the message ${id} was not recorded: give a body with the request (--edit)`);
  if ((hidden?.paths.length ?? 0) > 0)
    throw new CodedError(
      "MF_HISTORY_REDACTED",
      `parts of the message ${id} were hidden in its record (${hidden?.paths.join(", ")}): give the whole body with the request (--edit)`,
    );
  return bytes;
}

export class Recorded implements Messages {
  readonly #ports: RecordedPorts;

  constructor(ports: RecordedPorts) {
    this.#ports = ports;
  }

  get memory(): GatewayMemory {
    return this.#ports.memory;
  }

  now(): number {
    return this.#ports.now();
  }

  get reader(): HistorySearch {
    const { cluster } = this.#ports;
    return cluster === undefined ? this.own : new HistoryEverywhere(this.own, cluster);
  }

  /** This node's. Throws MF_HISTORY_OFF. */
  get own(): HistorySearch {
    const { history } = this.#ports;
    if (history === undefined)
      throw new CodedError("MF_HISTORY_OFF", "this gateway records nothing: remove `history: { enabled: false }` from mayfly.yaml");
    return history.reader;
  }

  get replay(): ReplayPort {
    const { replay } = this.#ports;
    if (replay === undefined) throw new CodedError("MF_REPLAY_MISSING", "this gateway can't replay messages: use `mayfly replay`");
    return replay;
  }

  async resubmit(
    id: string,
    { flow, body, wait }: { readonly flow: string | undefined; readonly body: Uint8Array | undefined; readonly wait: boolean },
  ): ReturnType<Messages["resubmit"]> {
    const detail = await this.reader.show(id, flow);
    if (detail === undefined)
      throw new CodedError("MF_MESSAGE_UNKNOWN", `no recorded message has the id ${id}: list them with \`mayfly messages ls\``);
    const parent: ParentMessage = { how: "resubmit", flow: detail.flow, id: detail.id };
    const outcome = await this.#ports.inject(detail.flow, {
      headers: headersAgain(detail.headers),
      contentType: detail.contentType,
      body: body ?? bodyAgain(detail),
      key: detail.key ?? undefined,
      correlationId: detail.correlationId ?? undefined,
      parent,
      wait,
    });
    return { id: outcome.id ?? "", parent, outcome };
  }
}
