/** Combining classes of marks, as far as normalisation shows them: the engine has no table of them. */

/** The highest class: normalisation puts nothing behind it but its like. */
const iotaBelow = "\u0345";

/** True for a mark that normalisation puts in order (a class other than 0). */
export function isMark(character: string): boolean {
  return character === iotaBelow || `${iotaBelow}${character}`.normalize("NFD") !== `${iotaBelow}${character}`;
}

/** True if `before` is of a lower class than `mark`, so that it does not keep it from their letter. Both are marks. */
export function isLower(before: string, mark: string): boolean {
  return (mark + before).normalize("NFD") !== mark + before;
}
