/** Files that are dropped into a folder of an FTP server, one message each. */
import type { SourceDefinition } from "#gateway/contract";
import { folderSourceSchema, type FolderSourceConfig } from "../shared/remote-folder/schema.ts";
import { FolderSource } from "../shared/remote-folder/source.ts";
import { type FtpConfig, ftpProtocol, ftpRequired, ftpSchema } from "./client.ts";

export type FtpSourceConfig = FtpConfig & FolderSourceConfig;

export const ftpSource: SourceDefinition<FtpSourceConfig> = {
  isSingle: () => true,
  name: "ftp",
  summary: "Files dropped into a folder of an FTP or FTPS server, one message each.",
  description: `At least once. A file is moved to \`done\` (or deleted) only after its message's effects are committed, and to \`failed\` if the message failed for good (its
dead letter says why). Finished files, markers, claims of several gateways, ids, headers and large files are as for the \`sftp\` source.

- **Client**: \`npm install basic-ftp@6\` beside Mayfly; without it the source says \`MF_FTP_CLIENT\`.
- **TLS** is on, and the server's certificate and name are checked (\`MF_FTP_TLS\`); contents go over TLS too, in the session of the login. \`plain: true\`
  turns it off, and each start logs \`MF_FTP_PLAIN\`.
- **Server**: it must have \`SIZE\` and \`MDTM\` (\`MF_FTP_FEATURE\`), passive mode, and a rename that succeeds for one of two clients. A passive address of
  another host is not followed. With \`REST STREAM\` a file whose data connection is lost is read on from there; when the login's own connection is
  lost it is read again from its beginning.
- **Times**: without \`MLSD\` a listing has no exact times. They are asked for one by one, for at most 256 files of a poll.
- **Ambiguity**: FTP answers 550 both for what is missing and for what is refused. A file without a size that can't be entered as a folder counts as
  missing. A name in \`done\` is looked for before a file is moved there, but two gateways that move one name at the same moment may overwrite.
- **Connections**: one for commands, up to four for contents.
- **Errors** (retried, shown by \`/ready\`): \`MF_FTP_UNREACHABLE\`, \`MF_FTP_TLS\`, \`MF_FTP_AUTH\`, \`MF_FTP_FEATURE\`, \`MF_FTP_FOLDER\`, \`MF_FTP_READ\`,
  \`MF_FTP_MOVE\`, \`MF_FTP_LISTING\`, \`MF_FTP_CLIENT\`. While 100 finished files can't be moved no others are taken.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ftpRequired,
    properties: { ...ftpSchema, ...folderSourceSchema },
  },
  example: `ftp: { host: files.example.com, user: mayfly, password: "\${FTP_PASSWORD}", dir: /orders, pattern: "*.csv" }`,
  create: (config, context) => new FolderSource(config, context, ftpProtocol(config, context)),
};
