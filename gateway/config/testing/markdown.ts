/** docs/CONNECTORS.md, generated from the connectors' descriptions. */
import type { ConnectorDescription, JsonSchema } from "../../contract/connector.ts";
import type { OutletDefinition } from "../../contract/outlet.ts";

interface Property {
  readonly type?: unknown;
  readonly unit?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
}

function typeOf(property: Property): string {
  if (property.unit !== undefined) return property.unit === "durationRange" ? "range of durations" : property.unit;
  if (property.enum !== undefined) return property.enum.map((each) => `\`${String(each)}\``).join(", ");
  return Array.isArray(property.type) ? property.type.join(" or ") : String(property.type ?? "anything");
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/\n/g, " ");
}

function rows(schema: JsonSchema, prefix: string): string[] {
  const { properties = {}, required = [] } = schema as {
    readonly properties?: Readonly<Record<string, Property>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).flatMap(([name, property]) => {
    const standard = required.includes(name) ? "required" : property.default === undefined ? "" : `\`${JSON.stringify(property.default)}\``;
    const row = `| \`${prefix}${name}\` | ${cell(typeOf(property))} | ${cell(standard)} | ${cell(property.description ?? "")} |`;
    return [row, ...(property.properties === undefined ? [] : rows(property as JsonSchema, `${prefix}${name}.`))];
  });
}

function section(definition: ConnectorDescription, kind: "from" | "to", remark: string): string {
  const table = rows(definition.schema, "");
  const settings =
    table.length === 0 ? "It has no settings." : ["| setting | type | default | |", "| --- | --- | --- | --- |", ...table].join("\n");
  const example = kind === "from" ? `from:\n  - ${definition.example}` : `to:\n  name: { ${definition.example} }`;
  return `### ${definition.name}\n\n${definition.summary}${remark}\n\n\`\`\`yaml\n${example}\n\`\`\`\n\n${definition.description}\n\n${settings}\n`;
}

const aboutBrokers = `A broker keeps a message until its effects are committed and it is acknowledged. A message whose acknowledgement breaks the
connection twice is set aside: it becomes a dead letter, \`MF_MESSAGE_SET_ASIDE\`, stays at the broker and is not run again, and later messages
continue. After a restart it may be delivered once more; \`dedup\` recognises it. A reply that a broker rejects is dropped and counted
(\`reply_dropped\`), and its message is acknowledged. A message may have 256 headers of 8,192 characters each; a control character in a value becomes a
space, and a character not allowed in a header name becomes a hyphen. Messages with changed or dropped headers are counted (\`headers_altered\`,
\`headers_dropped\`), and the first of each source is logged.

\`/ready\` shows an error as status 503 while it lasts. Over the admin socket, or with \`http.admin.token\`, it names flow, connector and code
(\`curl --unix-socket JOURNAL/admin.sock http://mayfly/ready\`); other callers get \`{"ready":false}\`.`;

export function connectorsMarkdown(
  sources: readonly ConnectorDescription[],
  outlets: readonly (ConnectorDescription & Pick<OutletDefinition, "answers">)[],
): string {
  return [
    "# Connectors\n\nGenerated from the connectors themselves (`UPDATE=1 npm test -- gateway/config`); do not edit.\n\nDurations are written `200ms`, `5s`, `10m`, `24h`, `7d`; sizes `64KB`, `16MiB`; rates `100/s`, `60/m`.\n",
    `## Sources\n\nSources of messages: entries of \`flows.NAME.from\`. Sources of signals: entries of \`flows.NAME.signals.NAME.from\`, with the same promises; a signal is acknowledged once the journal has it, and one that can't be taken (no key, too long) is a dead letter, or an HTTP caller is told.\n\n${aboutBrokers}\n`,
    ...sources.map((each) => section(each, "from", "")),
    "## Outlets\n\nWhere messages go: entries of `flows.NAME.to`, by the name the flow uses. Beside the connector each may have `retry`, `onDead`, `concurrency`, `rate`, `timeout` and `breaker`.\n",
    ...outlets.map((each) => section(each, "to", each.answers ? " Answers requests." : " Takes sends only.")),
  ].join("\n");
}
