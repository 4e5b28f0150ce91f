/** Every suite, in the order of the table. */
import type { Suite } from "./case.ts";
import { cloudevents } from "./cloudevents.ts";
import { csv, json, xml } from "./formats.ts";
import { test262 } from "./test262.ts";
import { wpt } from "./wpt.ts";

export const suites: readonly Suite[] = [json, csv, xml, cloudevents, ...wpt, test262];
