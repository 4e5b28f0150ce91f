/** Nodes of a cluster that did not answer what was asked of all. */
import { exitCodes } from "./failure.ts";
import { safeText } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** Says which nodes are silent in an answer of the gateway, and what to do. The exit code: 1 where there are any. */
export function sayWhoIsSilent({ err }: Pick<Terminal, "err">, answer: object): number {
  const { silent = [] } = answer as { readonly silent?: readonly string[] | undefined };
  for (const node of silent)
    err(`the node ${safeText(node)} did not answer, and may not know of it: \`mayfly cluster status\` shows the nodes; then try again\n`);
  return silent.length === 0 ? exitCodes.ok : exitCodes.failed;
}
