/** A job for a package: code that runs in a flow and in Node, and must give the same in both. */
export interface Job {
  /** The package's name; more than one job of a package have a remark in brackets. */
  readonly package: string;
  /** Statements before the code. */
  readonly imports: string;
  /** The body of an async function; what it returns, as JSON, is compared. */
  readonly code: string;
}

export function job(name: string, imports: string, code: string): Job {
  return { package: name, imports, code };
}
