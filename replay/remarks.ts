/** Sentences about a recording, for people. */
import type { Recording } from "#abi";

/** Says which parts a recording leaves out; empty for one that is whole. */
export function redactionRemarks({ redaction }: Recording): string[] {
  if (redaction === undefined) return [];
  const { headers, paths } = redaction;
  const parts = [
    ...(headers.length === 0 ? [] : [`the headers ${headers.join(", ")}`]),
    ...(paths.length === 0 ? [] : [`the values at ${paths.join(", ")}`]),
  ];
  if (parts.length === 0) return [];
  return [`Redacted before it was recorded: ${parts.join(" and ")}. A flow that computes with them gives other results.`];
}
