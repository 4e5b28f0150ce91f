/** Files that are dropped into a folder of an SFTP server, one message each. */
import type { SourceDefinition } from "#gateway/contract";
import { folderSourceSchema, type FolderSourceConfig } from "../shared/remote-folder/schema.ts";
import { FolderSource } from "../shared/remote-folder/source.ts";
import { type SftpConfig, sftpLogin, sftpProtocol, sftpRequired, sftpSchema } from "./client.ts";

export type SftpSourceConfig = SftpConfig & FolderSourceConfig;

export const sftpSource: SourceDefinition<SftpSourceConfig> = {
  isSingle: () => true,
  name: "sftp",
  summary: "Files dropped into a folder of an SFTP server, one message each.",
  description: `At least once. A file is moved to \`done\` (or deleted) only after its message's effects are committed, and to \`failed\` if the message failed for good (its
dead letter says why).

- **Client**: \`npm install ssh2@1\` beside Mayfly; without it the source says \`MF_SFTP_CLIENT\`.
- **Finished files**: a file is taken once its size and time were the same at two polls, at least \`settle\` apart; with \`marker: .done\`, as soon as
  \`NAME.done\` lies beside it. Hidden files and \`*.tmp\`, \`*.part\` and the like are ignored. Size and time are checked again before and after the
  file is read: one that has changed is read anew when it has kept still.
- **Several gateways** on one folder share its files. Each claims a file by renaming it into \`.mayfly/INSTANCE\` below \`dir\`, which succeeds for one
  of them; the server must rename within its file system in one step, as all do. While a gateway lives it changes the time of its lease file
  (\`.mayfly/INSTANCE.lease\`). If that does not happen for \`lease\`, another gateway takes its files over (\`MF_SFTP_TAKEN_OVER\`), also when it
  still works on them, cut off from the server: then they are delivered twice. A gateway that starts again on its journal has its files back at once.
- **Order**: by time, then name, as one gateway sees them. Messages of one key are worked on in that order.
- **Duplicates**: the message's id is made of the file's name, time and size, which a move does not change.
- **Lost connections**: a message in hand goes on, and its file is moved when the server is back. A file that was being read is read again from its
  beginning.
- **Large files** go into the body store with \`claimCheck\`; others than fit into the memory budget, and those over \`maxSize\`, are moved to \`failed\`
  (\`MF_SFTP_LIMIT\`).
- **Headers**: \`mayfly-file-name\` (percent-encoded), \`mayfly-file-size\`, \`mayfly-file-time\`. The content type comes from the extension unless
  \`contentType\` is given.
- **Errors** (retried, shown by \`/ready\`): \`MF_SFTP_UNREACHABLE\`, \`MF_SFTP_AUTH\`, \`MF_SFTP_HOST_KEY\`, \`MF_SFTP_KEY\`, \`MF_SFTP_FOLDER\`,
  \`MF_SFTP_READ\`, \`MF_SFTP_MOVE\`, \`MF_SFTP_LISTING\`, \`MF_SFTP_CLIENT\`. While 100 finished files can't be moved no others are taken.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: sftpRequired,
    anyOf: sftpLogin,
    properties: {
      ...sftpSchema,
      ...folderSourceSchema,
    },
  },
  example: `sftp: { host: files.example.com, user: mayfly, privateKey: sftp.key, hostKey: "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", dir: /orders, pattern: "*.csv" }`,
  create: (config, context) => new FolderSource(config, context, sftpProtocol(config, context)),
};
