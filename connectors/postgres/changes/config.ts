/** Settings of the source of changes. */
import { CodedError } from "#base";
import type { JsonSchema } from "#gateway/contract";
import { changeLimits } from "../limits.ts";

export interface ChangesConfig {
  readonly publication: string;
  readonly slot: string;
  readonly tables?: readonly string[];
  readonly create: boolean;
  readonly batch: "row" | "transaction";
}

export const changesSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["publication", "slot"],
  description: "Changes of tables by logical replication, instead of an inbox table.",
  properties: {
    publication: { type: "string", minLength: 1, maxLength: 63, description: "Publication to read." },
    slot: {
      type: "string",
      pattern: "^[a-z0-9_]{1,63}$",
      patternErrorMessage: "must be of lower-case letters, digits and _, at most 63",
      description: "Replication slot, read by this source only.",
    },
    tables: {
      type: "array",
      minItems: 1,
      maxItems: 1000,
      items: { type: "string", minLength: 1, maxLength: 127 },
      description: "Tables, or `schema.table`, that the publication must have. Without it, `create` publishes all tables.",
    },
    create: { type: "boolean", default: false, description: "Create the publication and the slot if they are missing." },
    batch: { enum: ["row", "transaction"], default: "row", description: "One message for each changed row, or for each transaction." },
  },
};

const mib = 2 ** 20;

export const changesDescription = `- **Changes of tables**: \`changes: { publication: orders, slot: mayfly_orders, tables: [orders], create: true }\` reads inserts, updates, deletes and
  truncates from the server's log (logical replication, \`pgoutput\`). The server needs \`wal_level = logical\`, the user \`REPLICATION\`. A message is
  JSON: \`{ op, schema, table, key, before, after, unchanged, lsn, xid, index, committedAt }\`, with values as in answers of the outlet. \`before\` is
  the old key where it changed or the row was deleted, and the whole row with \`REPLICA IDENTITY FULL\`. Long values that the server did not send because
  they did not change are missing in \`after\` and named in \`unchanged\`. Headers: \`postgres-op\`, \`postgres-schema\`, \`postgres-table\`,
  \`postgres-lsn\`, \`postgres-xid\`, \`postgres-committed-at\`. Rows from before the slot do not come: read them once with \`cursor\`.
  - **Position**: moved at the server only over transactions whose messages' effects are committed. Duplicates are recognised by server, transaction
    and number, also if the slot is created again. With \`journal.dir\` a long transaction goes on within after a restart.
  - **Order**: messages come in the order of commits. Their key is table and replica identity, \`public.orders {"id":7}\`: with \`key: key\` in the flow,
    each row's changes run in order. Changes of a key and truncates run alone. Tables with \`REPLICA IDENTITY FULL\` or without a key have one key.
  - **\`batch: transaction\`**: one message per transaction, \`{ lsn, xid, committedAt, part, isLast, changes: […] }\`, in parts beyond
    ${changeLimits.batchChanges.toLocaleString("en")} changes or ${changeLimits.batchBytes / mib} MiB; the key is the slot's name.
  - **An abandoned slot keeps the server's log for ever, until its disk is full.** Drop it when you remove the source:
    \`select pg_drop_replication_slot('mayfly_orders')\`. The details of \`/ready\` and the page show how far the source is behind and how much log
    the slot keeps, in bytes;
    \`max_slot_wal_keep_size\` bounds it.
  - **Several gateways**: one reads; another waits with \`MF_POSTGRES_SLOT_IN_USE\` and takes over. In a cluster one node runs the source.
  - **Errors**: \`MF_POSTGRES_WAL_LEVEL\`, \`MF_POSTGRES_REPLICATION\`, \`MF_POSTGRES_NO_PUBLICATION\`, \`MF_POSTGRES_NO_SLOT\`, \`MF_POSTGRES_SLOT\`,
    \`MF_POSTGRES_SLOT_IN_USE\`, \`MF_POSTGRES_SLOT_LOST\` (changes are missing), \`MF_POSTGRES_STREAM\`. A change of more than ${changeLimits.changeBytes / mib} MiB becomes
    a dead letter with \`MF_POSTGRES_CHANGE\`, without its rows.`;

/** Throws MF_SQL_SOURCE for settings that do not fit together. */
export function checkChanges(config: Readonly<Record<string, unknown>>): void {
  const others = ["table", "query", "cursor", "notify"].filter((name) => config[name] !== undefined);
  if (config["create"] === true) others.push("create");
  if (config["done"] === "mark") others.push("done");
  if (config["cloudevents"] === true) others.push("cloudevents");
  if (others.length === 0) return;
  throw new CodedError("MF_SQL_SOURCE", `changes can't be joined with ${others.join(", ")}: remove one of them`);
}
