/** Bounds of questions to people: previews, links, the page. */
const kib = 1024;
const second = 1000;

export const approvalLimits = {
  /** Previews that run at once; more are refused. */
  previewsAtOnce: 4,
  /** Longest preview, in milliseconds; and most steps. */
  previewMs: 5 * second,
  previewSteps: 1_000,
  /** Bodies that a previewed machine may send, ask with and change its state to, in bytes. */
  previewBytes: 4 * 1024 * kib,
  /** Bytes of each body that are shown, and how many sends, changes, calls and log lines. */
  shownBytes: 16 * kib,
  shownItems: 100,
  /** Depth of JSON that is shown in lines; what is deeper stays as it is, since each level indents all within. */
  indentedDepth: 32,
  /** Pages of links that are made or sent at once; more are refused. */
  pagesAtOnce: 16,
  /** Options of a question that are previewed on the page. */
  previewedOptions: 8,

  /** A form that answers a question, in bytes. */
  formBytes: 16 * kib,
  /** Characters of the name and the comment in it. */
  nameCharacters: 200,
  commentCharacters: 2_000,
  /** Longest link, in characters after `/approve/`. */
  tokenCharacters: 2_048,
} as const;
