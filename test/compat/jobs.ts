/** All jobs, by theme. */
import type { Job } from "./job.ts";
import { byteJobs } from "./jobs/bytes.ts";
import { dataJobs } from "./jobs/data.ts";
import { nodeJobs } from "./jobs/node.ts";
import { textJobs } from "./jobs/text.ts";
import { timeJobs } from "./jobs/time.ts";
import { valueJobs } from "./jobs/values.ts";

export const themes: Readonly<Record<string, readonly Job[]>> = {
  "Node's modules": nodeJobs,
  "Time and numbers": timeJobs,
  "Validation, objects, ids, queues": valueJobs,
  "Formats and queries": dataJobs,
  "Text, templates, addresses": textJobs,
  "Hashes, binary formats, documents, streams": byteJobs,
};
