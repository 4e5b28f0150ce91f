/** A recording by the id of its message, from the running gateway or from the store, or from a file. */
import { existsSync, readFileSync } from "node:fs";
import { decodeRecording, type Recording } from "#abi";
import { CodedError, isCoded } from "#base";
import { openHistory } from "#gateway";
import type { RecordedError } from "#replay";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { folderOf } from "../messages/source.ts";

export interface RecordingFlags extends GatewayFlags {
  /** Name of the flow, where two have a message of that id. */
  readonly of?: string;
  readonly attempt?: number;
}

export interface FoundRecording {
  readonly recording: Recording;
  /** Failure of the message. */
  readonly error: RecordedError | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

function decoded(bytes: Uint8Array, from: string): Recording {
  const recording = decodeRecording(bytes);
  if (recording.ok) return recording.value;
  throw new CodedError(
    "MF_RECORDING_INVALID",
    `${from}: ${recording.error}: use the version of Mayfly that recorded it, or choose another message`,
  );
}

function query(flow: string | undefined, attempt?: number): string {
  const values = new URLSearchParams({
    ...(flow === undefined ? {} : { flow }),
    ...(attempt === undefined ? {} : { attempt: String(attempt) }),
  }).toString();
  return values === "" ? "" : `?${values}`;
}

async function fromGateway(client: AdminClient, id: string, flags: RecordingFlags): Promise<FoundRecording> {
  const path = `/api/messages/${encodeURIComponent(id)}`;
  const detail = (await client.get("GET", `${path}${query(flags.of)}`)) as { error?: RecordedError | null };
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.pieces(`${path}/recording${query(flags.of, flags.attempt)}`)) pieces.push(piece);
  return { recording: decoded(Buffer.concat(pieces), id), error: detail.error ?? undefined };
}

async function fromFolder(id: string, { of: flow, attempt, config }: RecordingFlags, env: Environment): Promise<FoundRecording> {
  const reader = openHistory(await folderOf(config, env));
  try {
    const found = await reader.recording(id, { flow, attempt });
    if (found === undefined)
      throw new CodedError(
        "MF_MESSAGE_UNKNOWN",
        `no recorded message has the id ${id}: list them with \`mayfly messages ls\`; it may have expired`,
      );
    return { recording: found.recording, error: found.summary.error ?? undefined };
  } finally {
    await reader.close();
  }
}

/** From the gateway while it runs, else from the folder. Rejects with MF_MESSAGE_UNKNOWN, MF_RECORDING_INVALID, or as the gateway answers. */
export async function findRecording(id: string, flags: RecordingFlags, env: Environment): Promise<FoundRecording> {
  if (id.endsWith(".mfr") && existsSync(id)) return { recording: decoded(readFileSync(id), id), error: undefined };
  try {
    return await fromGateway(await AdminClient.open(flags, env), id, flags);
  } catch (error) {
    const named = flags.gateway ?? env["MAYFLY_GATEWAY"];
    const isAway = isCoded(error) && (error.code === "MF_GATEWAY_UNREACHABLE" || error.code === "MF_HISTORY_OFF");
    if (named !== undefined || !isAway) throw error;
    return await fromFolder(id, flags, env);
  }
}
