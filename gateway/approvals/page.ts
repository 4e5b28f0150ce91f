/**
 * The page behind a link, as HTML without scripts. What a flow asked and what it would send is a stranger's text here: all of it is escaped,
 * and characters that change the direction of text are shown as such. Failures are shown as to any caller; log lines
 * and the gateway's own faults are for the operator (admin.ts).
 */
import { createHash } from "node:crypto";
import { told } from "../contract/failure.ts";
import { approvalLimits } from "./limits.ts";
import type { PreviewedOption } from "./approvals.ts";
import type { Preview, PreviewEnd, ShownBytes } from "./preview.ts";

export interface QuestionPage {
  readonly flow: string;
  readonly id: string;
  readonly question: string;
  readonly options: readonly string[];
  readonly previews: readonly PreviewedOption[];
  /** The end without an answer; undefined where the question has no end. */
  readonly unanswered: { readonly untilMs: number; readonly preview: Preview } | undefined;
}

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; } main { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; white-space: pre-wrap; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
section { border: 1px solid #8886; border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
p, li, dt, dd { overflow-wrap: anywhere; } ul { padding-left: 1.2rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8882; padding: .5rem; border-radius: .3rem; max-height: 20rem; overflow: auto; }
label { display: block; margin: .75rem 0; } input, textarea { box-sizing: border-box; width: 100%; font: inherit; padding: .4rem; }
button { font: inherit; padding: .5rem 1.25rem; margin-top: .75rem; cursor: pointer; }
small { opacity: .8; } bdi { unicode-bidi: isolate; }
`;

export const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "x-robots-tag": "noindex, nofollow",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

const entities: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#39;"],
]);

/** Control characters and those that turn the direction of text are replaced. */
export function escaped(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd")
    .replace(/[&<>"']/g, (found) => entities.get(found) ?? "");
}

const own = (text: string): string => `<bdi>${escaped(text)}</bdi>`;

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${content}
</main>
</body>
</html>
`;
}

/** A sentence and its code: nothing of any question. */
export function noticePage(title: string, sentence: string, code?: string): string {
  return page(
    title,
    `<h1>${escaped(title)}</h1>\n<p>${escaped(sentence)}</p>${code === undefined ? "" : `\n<p><small>${escaped(code)}</small></p>`}`,
  );
}

/** Enter in a field presses a form's first button: this one, which does nothing (HTML standard, implicit submission). */
const noDefault = "<button disabled hidden></button>";

export function questionPage(asked: QuestionPage): string {
  const { flow, id, question, options, unanswered } = asked;
  const previews = new Map(asked.previews.map(({ option, preview }) => [option, preview]));
  const choices = options.map((option) => choice(option, previews.get(option)));
  const end =
    unanswered === undefined
      ? ""
      : `<section>\n<h2>If nobody answers until ${time(unanswered.untilMs)}</h2>\n${previewed(unanswered.preview)}\n</section>`;
  return page(
    "A question for you",
    `<p>The flow ${own(flow)} asks about the message ${own(id)}:</p>
<h1>${own(question)}</h1>
<form method="post" autocomplete="off">
${noDefault}
<label>Your name <small>(optional)</small> <input name="by" maxlength="${approvalLimits.nameCharacters}"></label>
<label>A comment <small>(optional)</small> <textarea name="comment" rows="2" maxlength="${approvalLimits.commentCharacters}"></textarea></label>
<p>Nothing happens before you press one of these. Each box says what its button makes the flow do next.</p>
${choices.join("\n")}
</form>
${end}`,
  );
}

function choice(option: string, preview: Preview | undefined): string {
  const shown = preview === undefined ? "<p>There is no preview of this option.</p>" : previewed(preview);
  return `<section>\n<h2>${own(option)}</h2>\n${shown}\n<button name="option" value="${escaped(option)}">${own(option)}</button>\n</section>`;
}

function previewed({ sends, state, end, more }: Preview): string {
  const items: string[] = [];
  for (const { outlet, key, contentType, body, due } of sends) {
    const about = [
      `Sends to ${own(outlet)}`,
      ...(key === null ? [] : [`key ${own(key)}`]),
      ...(contentType === "" ? [] : [own(contentType)]),
      ...(due === null ? [] : [`not before ${time(due)}`]),
    ];
    items.push(`${about.join(", ")}:${bytes(body)}`);
  }
  for (const { name, value } of state)
    items.push(value === undefined ? `Deletes its state ${own(name)}` : `Sets its state ${own(name)}:${bytes(value)}`);
  if (items.length === 0 && end.kind !== "failed" && end.kind !== "unknown") items.push("Nothing is sent.");
  if (more > 0) items.push(`… and ${more} more`);
  items.push(ending(end));
  return `<ul>\n${items.map((item) => `<li>${item}</li>`).join("\n")}\n</ul>`;
}

function ending(end: PreviewEnd): string {
  switch (end.kind) {
    case "done":
      return end.continues === null ? "Then it is done." : `Then it begins again, with:${bytes(end.continues)}`;
    case "asks":
      return `Then it asks, and what follows depends on the answer:<ul>${end.calls.map(({ target, method, body }) => `<li>${own(`${method} ${target}`.trim())}${bytes(body)}</li>`).join("")}</ul>`;
    case "asleep": {
      const waits = end.waits.map(
        ({ name, key, until }) => `${own(name)} (key ${own(key)})${until === null ? "" : `, at the latest until ${time(until)}`}`,
      );
      const sleeps = end.sleeps.map((dueMs) => `the time ${time(dueMs)}`);
      return `Then it waits for ${[...waits, ...sleeps].join(" or ")}.`;
    }
    case "failed":
      return `<strong>It would fail</strong>: ${own(told(end).message)} <small>${escaped(end.code)}</small>`;
    case "unknown":
      return `<strong>No preview</strong>: it can't be made at the moment. <small>${escaped(end.code)}</small>`;
  }
}

function bytes({ text, base64, bytes: length, cut }: ShownBytes): string {
  if (length === 0) return " (empty)";
  const note = cut === true ? `<small>The beginning of ${length} bytes.</small>` : "";
  return `<pre>${escaped(text === undefined ? `base64 ${base64 ?? ""}` : indented(text, cut === true))}</pre>${note}`;
}

/** JSON in lines, unless it is deep. Numbers that JavaScript can't hold are left as they are. */
function indented(text: string, isCut: boolean): string {
  if (isCut || !/^\s*[[{]/.test(text) || isDeep(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

/** Of JSON: brackets in its texts don't count. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[{]|[\]}]/gs)) {
    if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
    if (depth > approvalLimits.indentedDepth) return true;
  }
  return false;
}

function time(ms: number): string {
  const date = new Date(ms);
  const text = Number.isNaN(date.getTime()) ? String(ms) : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return escaped(text);
}
