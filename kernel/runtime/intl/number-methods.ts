/** The part `numbers`: Number's and BigInt's toLocaleString. */
import { bigintText, numberText } from "./numbers.ts";
import { define } from "./service.ts";

const ofNumbers = {
  toLocaleString(this: number, locales?: unknown, options?: unknown): string {
    return numberText(Number.prototype.valueOf.call(this), locales, options);
  },
};
const ofBigInts = {
  toLocaleString(this: bigint, locales?: unknown, options?: unknown): string {
    return bigintText(BigInt.prototype.valueOf.call(this), locales, options);
  },
};
for (const [target, { toLocaleString }] of [
  [Number.prototype, ofNumbers],
  [BigInt.prototype, ofBigInts],
] as const) {
  Object.defineProperty(toLocaleString, "length", { value: 0 });
  define(target, "toLocaleString", toLocaleString);
}
