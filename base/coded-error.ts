/**
 * An error at the edge: a stable `code` for programs, a sentence that says what to do for people, and the cause.
 * Codes are listed in docs/ERRORS.md.
 */
export class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "CodedError";
    this.code = code;
  }
}

export function isCoded(error: unknown): error is CodedError {
  return error instanceof CodedError;
}
