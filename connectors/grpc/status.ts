/** Status codes of gRPC, and what they are in the gateway's terms (https://grpc.io/docs/guides/status-codes/). */
import type { Failure } from "#gateway/contract";
import { told } from "#gateway/contract";

export const grpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names = Object.keys(grpcStatus);

export const statusName = (code: number): string => names[code] ?? `status ${code}`;

const codes: ReadonlyMap<number, number> = new Map([
  [400, grpcStatus.INVALID_ARGUMENT],
  [401, grpcStatus.UNAUTHENTICATED],
  [403, grpcStatus.PERMISSION_DENIED],
  [404, grpcStatus.NOT_FOUND],
  [408, grpcStatus.DEADLINE_EXCEEDED],
  [409, grpcStatus.ALREADY_EXISTS],
  [412, grpcStatus.FAILED_PRECONDITION],
  [413, grpcStatus.RESOURCE_EXHAUSTED],
  [416, grpcStatus.OUT_OF_RANGE],
  [422, grpcStatus.INVALID_ARGUMENT],
  [429, grpcStatus.RESOURCE_EXHAUSTED],
  [431, grpcStatus.RESOURCE_EXHAUSTED],
  [499, grpcStatus.CANCELLED],
  [500, grpcStatus.INTERNAL],
  [501, grpcStatus.UNIMPLEMENTED],
  [502, grpcStatus.UNAVAILABLE],
  [503, grpcStatus.UNAVAILABLE],
  [504, grpcStatus.DEADLINE_EXCEEDED],
]);

/** The code of an HTTP status: of what a flow replied, or of a failure. */
export function codeOfHttp(status: number): number {
  if (status >= 200 && status < 300) return grpcStatus.OK;
  return codes.get(status) ?? (status >= 400 && status < 500 ? grpcStatus.INVALID_ARGUMENT : grpcStatus.UNKNOWN);
}

const https: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401];

/** The HTTP status that a flow is given for a code. */
export const httpOfCode = (code: number): number => https[code] ?? 500;

/** A code by its name or number, as a flow may reply it; undefined for anything else. */
export function codeNamed(text: string): number | undefined {
  const code = /^\d{1,2}$/.test(text) ? Number(text) : names.indexOf(text);
  return code >= 0 && code < names.length ? code : undefined;
}

/** Codes after which another attempt with the same request can't succeed. */
const final: ReadonlySet<number> = new Set([
  grpcStatus.INVALID_ARGUMENT,
  grpcStatus.NOT_FOUND,
  grpcStatus.ALREADY_EXISTS,
  grpcStatus.PERMISSION_DENIED,
  grpcStatus.FAILED_PRECONDITION,
  grpcStatus.OUT_OF_RANGE,
  grpcStatus.UNIMPLEMENTED,
  grpcStatus.DATA_LOSS,
  grpcStatus.UNAUTHENTICATED,
]);

export const isRetried = (code: number): boolean => !final.has(code);

/** Status and text of a failure, as its caller may know them. */
export function statusOfFailure(
  failure: Failure,
  errors: "brief" | "full",
): { readonly code: number; readonly text: string; readonly own: string } {
  const { status, code, message } = told(failure, errors);
  return { code: codeOfHttp(status), text: message, own: code };
}
