/** One thing that `mayfly doctor` looked at. */
export interface Finding {
  readonly name: string;
  /** `missing`: optional, and not there. `bad`: Mayfly does not run without it. */
  readonly status: "ok" | "missing" | "bad";
  readonly detail: string;
  readonly remedy?: string;
  /** Numbers and versions for machines. */
  readonly value?: unknown;
}
