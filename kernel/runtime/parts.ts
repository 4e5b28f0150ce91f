/**
 * Parts of the runtime that are linked only into images whose flow mentions them: "a unikernel links only what it needs". The image
 * step bundles a flow once, asks `linkedParts` what its text mentions, and bundles it again with `import "mayfly/NAME"` in front.
 * This module runs at build time, outside the machine.
 */
import { tabled } from "./intl/locale-tables.ts";
import { table } from "./table.ts";
import { singleBytes } from "./web/charset-tables.ts";
import { multibyteCharsets, type MultibytePart } from "./web/multibyte/charsets.ts";

interface PartRule {
  /** The part's module, from this folder. */
  readonly module: string;
  /** Text in a bundle that shows that it needs the part. */
  readonly mention: RegExp;
  /** Parts it builds on. */
  readonly needs: readonly string[];
  /** Text that must be there as well: what `mention` finds is also a word of its own. */
  readonly beside?: RegExp;
}

/** A call, a property or an import of that name; not the word in a text such as "application/xml". */
function mentionOf(name: string): RegExp {
  return new RegExp(`\\.${name}\\s*(?:\\?\\.)?\\(|\\(\\s*"${name}"\\s*\\)|\\["${name}"\\]|[{,]\\s*${name}\\s*[},:]`);
}

/** A call of a reader of bodies. */
function callOf(name: string): RegExp {
  return new RegExp(`\\.${name}\\s*(?:\\?\\.)?\\(|\\["${name}"\\]|\\{[^{}]*\\b${name}\\b[^{}]*\\}\\s*=\\s*msg\\b`);
}

/** A locale among those of `flow({ locales: ["nl", "fr-BE"] })`; a language also by its regions. */
function localeMention(tag: string): RegExp {
  const regions = tag.includes("-") ? "" : "(?:-\\w+)*";
  return new RegExp(`\\bflow\\w*\\(\\{(?:[^{}]|\\{[^{}]*\\})*?\\blocales:\\s*\\[[^\\]]*"${tag}${regions}"`);
}

/** Of a part that is imported only. */
const noMention = /(?!)/;

/** The classes of streams, but not their names in a text; and what is called on the stream of a body or a blob. */
const streamMention =
  /(?<!["'])\b(?:(?:Readable|Writable|Transform|TextDecoder|TextEncoder)Stream|(?:Count|ByteLength)QueuingStrategy)\b(?!["'])|\bbody\??\.(?:getReader|pipeTo|pipeThrough|tee|values)\b|\.stream\s*\(\s*\)|\bof\s+[^;{}\n]*\bbody\b/;

/** Labels of charsets, as texts or in a content type; as texts not those that are words of their own, such as "greek" and "l2". */
const charsetLabels = singleBytes
  .flatMap(([name, labels]) => [name, ...labels.split(" ")])
  .filter((label) => /^[a-z].{2,}/.test(label) && /[\d-]/.test(label));
function labelMention(labels: readonly string[]): RegExp {
  const all = labels.map((label) => label.replace(/[.+]/g, "\\$&")).join("|");
  return new RegExp(`(["'\`])(?:${all})\\1|\\bcharset=\\\\?"?(?:${all})(?![\\w:.-])`, "i");
}
/** The charsets of several bytes a character of a part, but by no label that is the name of a language. */
function multibyteMention(part: MultibytePart): RegExp {
  const labels = multibyteCharsets[part].flatMap(({ name, labels }) => [name, ...labels.split(" ")]);
  return labelMention(labels.filter((label) => !["", "chinese", "korean"].includes(label)));
}

const multibyteParts = Object.keys(multibyteCharsets) as MultibytePart[];

const subtle = /\b(?:subtle|CryptoKey)\b/;

/** In the order in which they are linked. */
const rules: Readonly<Record<string, PartRule>> = table({
  console: { module: "web/console.ts", mention: /\bconsole\b/, needs: [] },
  charsets: { module: "web/charsets.ts", mention: labelMention(charsetLabels), needs: [] },
  ...Object.fromEntries(
    multibyteParts.map((part) => [`charsets/${part}`, { module: `web/multibyte/${part}.ts`, mention: multibyteMention(part), needs: [] }]),
  ),
  encoding: { module: "web/encoding.ts", mention: /\bText(?:En|De)coder\b/, needs: [] },
  events: { module: "web/events.ts", mention: /\b(?:Event|CustomEvent|EventTarget|AbortController|AbortSignal|signal)\b/, needs: [] },
  url: { module: "web/url.ts", mention: /\bURL(?:SearchParams)?\b/, needs: [] },
  blob: { module: "web/blob.ts", mention: /\b(?:Blob|File)\b|\.blob\s*\(|\["blob"\]/, needs: [] },
  form: { module: "web/form-data.ts", mention: /\bFormData\b|\.form(?:Data)?\s*\(|\["form(?:Data)?"\]/, needs: ["blob"] },
  fetch: { module: "web/fetch.ts", mention: /\b(?:fetch|Headers|Request|Response)\b/, needs: ["events", "url"] },
  streams: { module: "web/streams.ts", mention: streamMention, needs: ["encoding", "events"] },
  compression: { module: "web/compression.ts", mention: /\b(?:Dec|C)ompressionStream\b/, needs: ["streams"] },
  crypto: { module: "web/crypto.ts", mention: /\bcrypto\b/, needs: [] },
  subtle: { module: "web/subtle.ts", mention: subtle, needs: ["crypto"] },
  aes: { module: "web/keys/aes.ts", mention: /\bAES-?(?:GCM|CBC|CTR|KW)\b/i, needs: ["subtle"], beside: subtle },
  derive: { module: "web/keys/derive.ts", mention: /\b(?:PBKDF2|HKDF)\b/i, needs: ["subtle"], beside: subtle },
  rsa: { module: "web/keys/rsa.ts", mention: /\bRSA(?:SSA-PKCS1|-PSS|-OAEP)/i, needs: ["subtle"], beside: subtle },
  ec: { module: "web/keys/ec.ts", mention: /\bECD(?:SA|H)\b/i, needs: ["subtle"], beside: subtle },
  okp: { module: "web/keys/okp.ts", mention: /\b(?:Ed|X)25519\b/i, needs: ["subtle"], beside: subtle },
  intl: { module: "intl/intl.ts", mention: /\bIntl\b/, needs: [] },
  dates: { module: "intl/dates.ts", mention: /\bDateTimeFormat\b|\btoLocale(?:Date|Time)?String\b|\bsupportedValuesOf\b/, needs: ["intl"] },
  numbers: { module: "intl/numbers.ts", mention: /\bNumberFormat\b|\btoLocaleString\b|\bsupportedValuesOf\b/, needs: ["intl"] },
  temporal: { module: "intl/temporal.ts", mention: /\b(?:toTemporalInstant|Temporal)\b/, needs: ["dates"] },
  zone: { module: "intl/zone.ts", mention: /\btake\w*\("zone"\)/, needs: [] },
  plurals: { module: "intl/plurals.ts", mention: /\bPluralRules\b/, needs: ["intl"] },
  lists: { module: "intl/lists.ts", mention: /\bListFormat\b/, needs: ["intl"] },
  relative: { module: "intl/relative.ts", mention: /\bRelativeTimeFormat\b/, needs: ["intl"] },
  collator: { module: "intl/collator.ts", mention: /\bCollator\b|\blocaleCompare\b/, needs: ["intl"] },
  casing: { module: "intl/casing.ts", mention: /\btoLocale(?:Upper|Lower)Case\b/, needs: [] },
  clone: { module: "web/structured-clone.ts", mention: /\bstructuredClone\b/, needs: [] },
  xml: { module: "formats/xml.ts", mention: mentionOf("xml"), needs: [] },
  xpath: {
    module: "formats/xpath.ts",
    mention: /\.select\s*(?:\?\.)?\(|\bselect\b[^;]*\}\s*=\s*xml\b/,
    needs: ["xml"],
    beside: mentionOf("xml"),
  },
  canonical: {
    module: "formats/canonical.ts",
    mention: /\.canonical\s*(?:\?\.)?\(|\bcanonical\b[^;]*\}\s*=\s*xml\b/,
    needs: ["xml"],
    beside: mentionOf("xml"),
  },
  reading: { module: "reading/reading.ts", mention: /\.batch\b|\{[^{}]*\bbatch\b[^{}]*\}\s*=\s*msg\b/, needs: [] },
  lines: { module: "reading/lines.ts", mention: callOf("lines"), needs: ["reading"] },
  elements: { module: "reading/elements.ts", mention: callOf("elements"), needs: ["reading", "xml"] },
  buffer: { module: "node/buffer.ts", mention: /\bBuffer\b/, needs: [] },
  process: { module: "node/process.ts", mention: /\bprocess\b/, needs: [] },
  immediate: { module: "node/timers.ts", mention: /\b(?:set|clear)Immediate\b/, needs: [] },
  nodeassert: { module: "node/assert.ts", mention: noMention, needs: [] },
  nodecrypto: { module: "node/crypto.ts", mention: noMention, needs: ["buffer", "crypto"] },
  nodequery: { module: "node/querystring.ts", mention: noMention, needs: ["encoding"] },
  nodeurl: { module: "node/url.ts", mention: noMention, needs: ["nodequery", "url"] },
  nodevalues: { module: "node/values.ts", mention: noMention, needs: [] },
  nodeutil: { module: "node/util.ts", mention: noMention, needs: [] },
  warm: { module: "warm.ts", mention: /\bwarm\b/, needs: [] },
  csv: { module: "formats/csv.ts", mention: mentionOf("csv"), needs: [] },
  rows: { module: "reading/rows.ts", mention: callOf("rows"), needs: ["reading", "csv"] },
  ...Object.fromEntries(
    tabled.map((tag) => [`locales/${tag}`, { module: `intl/locales/${tag}.ts`, mention: localeMention(tag), needs: [] }]),
  ),
});

/** Name → module, from this folder: what `mayfly/NAME` stands for in a flow's bundle. */
export const partModules: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(rules).map(([name, rule]) => [name, rule.module]),
);

/** Parts that read a message in pieces. */
export const streamingParts: readonly string[] = ["rows", "lines", "elements"];

/** The parts a bundle needs, by what it imports and what its text mentions. Rather one too many than one too few. */
export function linkedParts(bundleText: string, imported: readonly string[] = []): string[] {
  const found = new Set<string>();
  function add(name: string): void {
    for (const need of rules[name]?.needs ?? []) add(need);
    found.add(name);
  }
  for (const [name, { mention, beside }] of Object.entries(rules))
    if (imported.includes(name) || (mention.test(bundleText) && beside?.test(bundleText) !== false)) add(name);
  return Object.keys(rules).filter((name) => found.has(name));
}
