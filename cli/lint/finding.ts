export interface LintFinding {
  readonly file: string;
  /** From 1; 0 when it is the file as a whole. */
  readonly line: number;
  readonly column: number;
  /** An error fails the command, a warning does not. */
  readonly level: "error" | "warning";
  readonly code: string;
  readonly message: string;
}

/** Findings of an error whose lines begin with `file:line:column:`; others belong to `file` as a whole. */
export function findingsOf(code: string, message: string, file: string, level: LintFinding["level"] = "error"): LintFinding[] {
  const found: LintFinding[] = [];
  for (const text of message.split("\n")) {
    const [, at, line, column, sentence] = /^(\S+?):(\d+):(\d+):? (?:MF_[A-Z_]+ )?(.*)$/.exec(text) ?? [];
    const last = found.at(-1);
    if (at !== undefined && sentence !== undefined)
      found.push({ file: at, line: Number(line), column: Number(column), level, code, message: sentence });
    else if (last === undefined) found.push({ file, line: 0, column: 0, level, code, message: text });
    else if (text.trim() !== "" && !/^\s+at /.test(text)) found[found.length - 1] = { ...last, message: `${last.message} ${text.trim()}` };
  }
  return found;
}
