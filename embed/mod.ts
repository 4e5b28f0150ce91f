/** `mayfly/embed`: machines as a library, in any Node program. docs/EMBED.md; the types stand in embed.d.ts. */
import type * as Types from "./embed.d.ts";
import { build } from "./images.ts";
import { expressHandler, fastifyHandler, honoHandler } from "./handlers.ts";
import { load } from "./host.ts";
import { replay } from "./replay.ts";
import { sandbox } from "./sandbox.ts";

/** Keeps the functions to what their types promise. */
({ build, expressHandler, fastifyHandler, honoHandler, load, replay, sandbox }) satisfies typeof Types;

export { build, expressHandler, fastifyHandler, honoHandler, load, replay, sandbox };
