/** The values of mayfly.yaml, which no recording has: a flow's secrets are among them. */
import type { DeliverEvent, Recording } from "#abi";
import type { FlowRules } from "#gateway";

const prefix = "mayfly-value-";

/** The record's first event, with the values of mayfly.yaml where the recording left them out. */
export function withValues({ deliver, redaction }: Recording, rules: FlowRules | undefined): DeliverEvent {
  if (redaction === undefined || rules === undefined || !deliver.headersJson.includes(`"${prefix}`)) return deliver;
  const headers = JSON.parse(deliver.headersJson) as Record<string, unknown>;
  for (const name of Object.keys(headers)) if (name.startsWith(prefix)) headers[name] = rules.values[name] ?? headers[name];
  return { ...deliver, headersJson: JSON.stringify(headers) };
}
