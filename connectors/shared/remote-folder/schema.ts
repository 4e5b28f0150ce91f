/** Options of sources and outlets that are the same for every file server. */
import { duration, type JsonSchema, size } from "#gateway/contract";
import { type CloudEventsConfig, structuredCloudEventsSchema } from "../cloudevents/write.ts";

export interface FolderSourceConfig {
  readonly dir: string;
  readonly pattern: string;
  readonly done: string;
  readonly delete: boolean;
  readonly failed: string;
  readonly marker: string | undefined;
  readonly settle: number;
  readonly every: number;
  readonly lease: number;
  readonly contentType: string | undefined;
  readonly maxSize: number | undefined;
}

export interface FolderOutletConfig {
  readonly dir: string;
  readonly name: string;
  readonly append: boolean;
  readonly cloudevents?: CloudEventsConfig;
}

const dir = { type: "string", minLength: 1, description: "Folder, absolute or relative to the login's own. Created if missing." } as const;

export const folderSourceSchema: Readonly<Record<string, JsonSchema>> = {
  dir,
  pattern: { type: "string", minLength: 1, default: "*", description: "Pattern of the file names, with * and ?." },
  done: { type: "string", minLength: 1, default: "done", description: "Folder for completed files, absolute or relative to `dir`." },
  delete: { type: "boolean", default: false, description: "Delete completed files instead." },
  failed: { type: "string", minLength: 1, default: "failed", description: "Folder for files whose message failed for good." },
  marker: {
    type: "string",
    pattern: "^\\.[A-Za-z0-9._-]+$",
    patternErrorMessage: "must be an extension such as .done",
    description: "Suffix of a marker file: a file is complete once NAME plus this suffix exists.",
  },
  settle: duration("A file is complete once it has not changed for this time.", "5s"),
  every: duration("Interval between polls of the folder.", "5s"),
  lease: duration("Time after which the files of a gateway that is gone are taken over by another.", "1m"),
  contentType: { type: "string", description: "Content type of every file." },
  maxSize: size("Maximum size of a file; longer files are moved to `failed`. Default: 64MiB, and 16GiB where it goes into the body store."),
};

export const folderOutletSchema: Readonly<Record<string, JsonSchema>> = {
  dir,
  name: {
    type: "string",
    minLength: 1,
    default: "{date}/{id}",
    description: "Template of the file's name.",
    examples: ["{date}/{id}.json"],
  },
  append: { type: "boolean", default: false, description: "Append a line to the file instead." },
  cloudevents: structuredCloudEventsSchema,
};
