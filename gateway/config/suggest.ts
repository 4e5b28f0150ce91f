/** "Did you mean …?" */

/** Edits (insert, delete, replace, swap of neighbours) from one word to the other: optimal string alignment. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [];
  for (let i = 0; i <= a.length; i += 1) {
    const row: number[] = [];
    for (let j = 0; j <= b.length; j += 1) {
      const above = rows[i - 1]?.[j] ?? 0;
      const left = row[j - 1] ?? 0;
      const diagonal = rows[i - 1]?.[j - 1] ?? 0;
      let least = i === 0 ? j : j === 0 ? i : Math.min(above + 1, left + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (rows[i - 2]?.[j - 2] ?? 0) + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

/** The known word most like `word`, when it is like enough to be meant. */
export function suggestion(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const lower = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const each of known) {
    const distance = editDistance(lower, each.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [each, distance];
  }
  return best;
}

/** ` (did you mean "x"?)`, or the known words, or nothing. */
export function hint(word: string, known: readonly string[]): string {
  const best = suggestion(word, known);
  if (best !== undefined) return `; did you mean "${best}"?`;
  return known.length === 0 || known.length > 20 ? "" : `; known are ${known.join(", ")}`;
}
