/** Into files of an FTP server; requests list and read them. */
import type { OutletDefinition } from "#gateway/contract";
import { FolderOutlet } from "../shared/remote-folder/outlet.ts";
import { folderOutletSchema, type FolderOutletConfig } from "../shared/remote-folder/schema.ts";
import { type FtpConfig, ftpProtocol, ftpRequired, ftpSchema } from "./client.ts";

export type FtpOutletConfig = FtpConfig & FolderOutletConfig;

export const ftpOutlet: OutletDefinition<FtpOutletConfig> = {
  name: "ftp",
  summary: "Into files of an FTP or FTPS server.",
  description: `A message counts as sent when its file is written, the server tells its full size, and it is renamed.

- **Client**: \`npm install basic-ftp@6\` beside Mayfly; without it the outlet says \`MF_FTP_CLIENT\`.
- **TLS** is on unless \`plain: true\`, as for the source.
- **Files** are written under a temporary name (\`.RANDOM.tmp\`) and then renamed, so that readers never see half of one; an existing file is replaced
  in one step where the server renames over it, else it is removed before. A lost connection may leave the temporary file behind. FTP can't say
  that a file is on the server's disk.
- **Names** come from a template, as for the \`sftp\` outlet, and are the same for every attempt at one send: a second attempt replaces the first. Missing
  folders are created.
- **\`append: true\`**: sends become lines of one file instead. After a lost connection a line may be there twice, or cut short; it is cut short on a line
  of its own if the server has \`REST STREAM\`.
- **Requests**: \`get\`, \`list\` and \`exists\`, as for the \`sftp\` outlet. \`time\` is left out where the server tells none exactly.
- **Errors**: those of the source; \`MF_FTP_WRITE\` when the server refuses to write or read.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ftpRequired,
    properties: { ...ftpSchema, ...folderOutletSchema },
  },
  example: `ftp: { host: files.example.com, user: mayfly, password: "\${FTP_PASSWORD}", dir: /outbox, name: "{date}/{id}.json" }`,
  create: (config, context) => new FolderOutlet(config, context, ftpProtocol(config, context)),
};
