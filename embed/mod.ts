/** `mayfly/embed`: machines as a library, in any Node program. docs/EMBED.md; the types stand in embed.d.ts. */
import type * as Types from "./embed.d.ts";
import { build } from "./images.ts";
import { load } from "./host.ts";
import { replay } from "./replay.ts";
import { sandbox } from "./sandbox.ts";

/** Keeps the functions to what their types promise. */
({ build, load, replay, sandbox }) satisfies Pick<typeof Types, "build" | "load" | "replay" | "sandbox">;

export { build, load, replay, sandbox };
