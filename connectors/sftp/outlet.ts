/** Into files of an SFTP server; requests list and read them. */
import type { OutletDefinition } from "#gateway/contract";
import { FolderOutlet } from "../shared/remote-folder/outlet.ts";
import { folderOutletSchema, type FolderOutletConfig } from "../shared/remote-folder/schema.ts";
import { type SftpConfig, sftpLogin, sftpProtocol, sftpRequired, sftpSchema } from "./client.ts";

export type SftpOutletConfig = SftpConfig & FolderOutletConfig;

export const sftpOutlet: OutletDefinition<SftpOutletConfig> = {
  name: "sftp",
  summary: "Into files of an SFTP server.",
  description: `A message counts as sent when its file is written, synced (where the server has \`fsync@openssh.com\`) and renamed.

- **Client**: \`npm install ssh2@1\` beside Mayfly; without it the outlet says \`MF_SFTP_CLIENT\`.
- **Files** are written under a temporary name (\`.RANDOM.tmp\`) and then renamed, so that readers never see half of one; an existing file is replaced
  in one step where the server has \`posix-rename@openssh.com\`, else it is removed before. A lost connection may leave the temporary file behind.
- **Names** come from a template and are the same for every attempt at one send: a second attempt replaces the first. Variables: \`{id}\` (of this
  send, unique), \`{message}\`, \`{date}\`, \`{hour}\`, \`{time}\` (UTC, when the flow completed), \`{flow}\`, \`{outlet}\`, \`{key}\`, \`{header:NAME}\`. Their
  values are made safe: no name leads out of \`dir\`, and different values give different names. Missing folders are created.
- **\`append: true\`**: sends become lines of one file instead. After a lost connection a line may be there twice, or cut short on a line of its own.
- **Requests**: \`request(undefined, { method: "get", path: "2026/a.csv" })\` answers with the file, at most 16 MiB; \`list\` with a folder's entries as JSON
  (\`name\`, \`kind\`, \`size\`, \`time\`; no hidden ones); \`exists\` with \`{ exists, kind, size, time }\`. A path leads to no place outside \`dir\`, unless a symbolic
  link of the server does (\`MF_PATH_REFUSED\`). What is not there is \`MF_SFTP_NO_FILE\`.
- **Errors**: those of the source; \`MF_SFTP_WRITE\` when the server refuses to write or read.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: sftpRequired,
    anyOf: sftpLogin,
    properties: {
      ...sftpSchema,
      ...folderOutletSchema,
    },
  },
  example: `sftp: { host: files.example.com, user: mayfly, password: "\${SFTP_PASSWORD}", hostKey: "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", dir: /outbox, name: "{date}/{id}.json" }`,
  create: (config, context) => new FolderOutlet(config, context, sftpProtocol(config, context)),
};
