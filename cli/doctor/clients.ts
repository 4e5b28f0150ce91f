/** Libraries that are installed by those who use them, clients of connectors most of them: optional peers in package.json. */
import type { Finding } from "./finding.ts";

/** By connector, or what else needs it: the package, and the line of versions that Mayfly is tested with. */
export const optionalClients = {
  amqp1: ["rhea", 3],
  ftp: ["basic-ftp", 6],
  grpc: ["@grpc/grpc-js", 1],
  "grpc contracts": ["protobufjs", 7],
  imap: ["imapflow", 2],
  "imap mails": ["postal-mime", 4],
  mcp: ["@modelcontextprotocol/server", 2],
  kafka: ["@platformatic/kafka", 1],
  mysql: ["mysql2", 3],
  sftp: ["ssh2", 1],
  websocket: ["ws", 8],
} as const;

export async function clients(load: (name: string) => Promise<unknown> = (name) => import(name)): Promise<Finding[]> {
  return await Promise.all(
    Object.entries(optionalClients).map(async ([connector, [name, major]]): Promise<Finding> => {
      const found = { name: `Client for ${connector}` };
      try {
        await load(name);
        return { ...found, status: "ok", detail: `${name} is installed`, value: name };
      } catch (error) {
        const absent = (error as { readonly code?: unknown }).code === "ERR_MODULE_NOT_FOUND";
        const detail = absent ? `${name} is not installed` : `${name} can't be loaded: ${(error as Error).message}`;
        return { ...found, status: "missing", detail, remedy: `to use it: npm install ${name}@${major}` };
      }
    }),
  );
}
