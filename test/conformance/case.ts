/** Results of suites that nobody here wrote. */

export interface CaseResult {
  /** `file › test`, or the file alone: unique in its suite. */
  readonly name: string;
  readonly passed: boolean;
  /** Of a failure: what was expected and what came. */
  readonly detail: string;
}

export interface SuiteOptions {
  /** Folder of the suites: `../shared/data` beside the checkout. */
  readonly data: string;
  /** True: a part that takes some seconds. */
  readonly quick: boolean;
  /** Files or cases whose names hold this only. */
  readonly filter?: string | undefined;
}

export interface Suite {
  readonly name: string;
  /** Its contents, in a few words. */
  readonly about: string;
  run(options: SuiteOptions): Promise<readonly CaseResult[]>;
}

export function passed(name: string): CaseResult {
  return { name, passed: true, detail: "" };
}

export function failed(name: string, detail: string): CaseResult {
  return { name, passed: false, detail: detail.replace(/\s+/g, " ").slice(0, 300) };
}
