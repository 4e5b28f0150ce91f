/** Faults of a configuration, with their places. */
import { CodedError } from "#base";

/** Keys and indices from the top of the file. */
export type Path = readonly (string | number)[];

/** `key`: the fault is at this key inside the value of `path`. */
export type Report = (path: Path, message: string, key?: string, code?: string) => void;

export interface ConfigProblem {
  /** MF_CONFIG_INVALID, MF_CONFIG_ENV, MF_CONFIG_SYNTAX, or a connector's own. */
  readonly code: string;
  /** From 1; 0 when nothing in the file is at fault. */
  readonly line: number;
  readonly column: number;
  /** `flows.orders.from[0].http.method`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** Name of the file, where it is that of a profile. */
  readonly file?: string;
}

/** Everything that is wrong with a configuration; its message has one line for each problem. */
export class ConfigError extends CodedError {
  readonly problems: readonly ConfigProblem[];

  /** Files besides the configuration that may be at fault, absolute. */
  readonly files: readonly string[];

  constructor(file: string, problems: readonly ConfigProblem[], files: readonly string[] = []) {
    super(
      problems[0]?.code ?? "MF_CONFIG_INVALID",
      problems
        .map(
          (each) =>
            `${each.file ?? file}:${each.line}:${each.column} ${each.code} ${each.path === "" ? "" : `${each.path}: `}${each.message}`,
        )
        .join("\n"),
    );
    this.name = "ConfigError";
    this.problems = problems;
    this.files = files;
  }
}

export function pathText(path: Path): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : text === "" ? step : `.${step}`;
  return text;
}
