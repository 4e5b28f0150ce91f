/** Recorded messages, wherever they are: behind a running gateway, or in the folder of history of one that does not run. */
import { isCoded } from "#base";
import { type HistoryQuery, historyFolder, type MessageDetail, type MessageSummary, openHistory, readPlaces } from "#gateway";
import { AdminClient, type GatewayFlags } from "../admin.ts";

export interface MessagePage {
  readonly messages: readonly MessageSummary[];
  readonly next: string | null;
  readonly remarks: readonly string[];
}

export interface MessageSource {
  /** Where it reads, for people; undefined: a gateway that runs. */
  readonly folder: string | undefined;
  list(query: HistoryQuery): Promise<MessagePage>;
  show(id: string, flow: string | undefined): Promise<MessageDetail | undefined>;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

class GatewayMessages implements MessageSource {
  readonly folder = undefined;
  readonly #client: AdminClient;

  constructor(client: AdminClient) {
    this.#client = client;
  }

  async list({ header, sinceMs, untilMs, correlationId, ...query }: HistoryQuery): Promise<MessagePage> {
    const parameters = new URLSearchParams();
    const set = (name: string, value: string | number | undefined): void => {
      if (value !== undefined) parameters.set(name, String(value));
    };
    for (const [name, value] of Object.entries(query)) set(name, value as string | undefined);
    set("correlation", correlationId);
    set("since", sinceMs);
    set("until", untilMs);
    if (header !== undefined) set("header", `${header.name}:${header.value}`);
    return (await this.#client.get("GET", `/api/messages?${parameters}`)) as MessagePage;
  }

  async show(id: string, flow: string | undefined): Promise<MessageDetail | undefined> {
    const query = flow === undefined ? "" : `?flow=${encodeURIComponent(flow)}`;
    try {
      return (await this.#client.get("GET", `/api/messages/${encodeURIComponent(id)}${query}`)) as MessageDetail;
    } catch (error) {
      if (isCoded(error) && error.code === "MF_MESSAGE_UNKNOWN") return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {}
}

/** The store itself, without a gateway. */
function folderMessages(folder: string): MessageSource {
  const reader = openHistory(folder);
  return {
    folder,
    list: async (query) => {
      const { messages, next = null, remarks } = await reader.list(query);
      return { messages, next, remarks };
    },
    show: (id, flow) => reader.show(id, flow),
    close: () => reader.close(),
  };
}

/** Folder of history that mayfly.yaml names. */
export async function folderOf(config: string, env: Environment): Promise<string> {
  const { base, journal, history } = await readPlaces(config, env);
  return historyFolder(base, journal.dir, history.dir);
}

/** The gateway's answers while it runs, the folder otherwise. */
export async function openMessages(flags: GatewayFlags, env: Environment): Promise<MessageSource> {
  const client = await AdminClient.open(flags, env);
  try {
    await client.get("GET", "/api/messages?limit=1");
    return new GatewayMessages(client);
  } catch (error) {
    const named = flags.gateway ?? env["MAYFLY_GATEWAY"];
    const isAway = isCoded(error) && (error.code === "MF_GATEWAY_UNREACHABLE" || error.code === "MF_HISTORY_OFF");
    if (named !== undefined || !isAway) throw error;
    return folderMessages(await folderOf(flags.config, env));
  }
}
