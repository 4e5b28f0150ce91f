/** Unexpected errors, from callbacks, events and promises: where connectors report them. */
/** Reports an unexpected error. `where` names the callback or event. Never throws. */
export type ReportUnexpected = (error: unknown, where: string) => void;

/** `callback` for a library to call: what it throws, or rejects with, is reported and goes no further. */
export function guarded<Arguments extends unknown[]>(
  report: ReportUnexpected,
  where: string,
  callback: (...values: Arguments) => unknown,
): (...values: Arguments) => void {
  return (...values) => {
    try {
      const result = callback(...values);
      if (result instanceof Promise) result.catch((error: unknown) => report(error, where));
    } catch (error) {
      report(error, where);
    }
  };
}
