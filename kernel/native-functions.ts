/** The natives by their number in kernel/native/door.ts, `functionIndex`; names are those of kernel/runtime/native.ts. */
export const nativeFunctions = [
  "kind",
  "text",
  "bytes",
  "json",
  "number",
  "emit",
  "encodeUtf8",
  "decodeUtf8",
  "random",
  "randomFloat",
  "digest",
  "hmac",
  "equal",
  "stringify",
  "exhausted",
  "mentionsCharset",
] as const;
