/** English that native readers stumble over, with the words to use instead. Applied to comments, strings and documents by tidy.test.ts. */
export interface Phrase {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Anywhere in a text. */
export const phrases: readonly Phrase[] = [
  { pattern: /\bso long\b(?! as\b)/, instead: "a duration: timeout, maximum age, interval" },
  { pattern: /\btill\b/, instead: "until" },
  { pattern: /(?<!\bthere )\b(?:is|are) none\b/, instead: "the property: is malformed, is missing, is not a header" },
  { pattern: /\b(?:when|where|why) there (?:is|are|was|were) none\b/i, instead: "without it, when it is missing, when all are taken" },
  {
    pattern: /\b(?:comes|came) to (?:nothing|an end|its end|whatever|what|rest)\b|\bwhat [^.]{1,40} comes to\b/i,
    instead: "the result of",
  },
  { pattern: /\b(?:is|are) to (?:have|be)\b/, instead: "must, should, or the plain verb" },
  { pattern: /\bof one's own\b/, instead: "external, private, separate" },
  { pattern: /\bput in again\b/, instead: "retried" },
  { pattern: /\bnobody foresaw\b/, instead: "unexpected" },
  { pattern: /\bmake room\b/i, instead: "free space, evict" },
];

/** At the beginning of a comment. */
export const beginnings: readonly Phrase[] = [
  { pattern: /^(?:What|Who|Whom|Whose|Whoever|Whether|Whatever|That which|Those that)\b/, instead: "the noun or verb of the thing" },
];
