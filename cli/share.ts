/** Shares on the command line: `5%`, as in mayfly.yaml. */

/** The share as a number between 0 and 1; undefined for anything else. */
export function readShare(text: string): number | undefined {
  const [, percent] = /^([0-9]{1,3}(?:\.[0-9]+)?)%$/.exec(text) ?? [];
  const share = Number(percent) / 100;
  return share > 0 && share < 1 ? share : undefined;
}
