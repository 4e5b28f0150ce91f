/** Objects in buckets of Amazon S3, and of servers with its API. */
import type { Connector } from "#gateway/contract";
import { s3Outlet } from "./outlet.ts";
import { s3Source } from "./source.ts";

export const s3: Connector = { source: s3Source, outlet: s3Outlet };
