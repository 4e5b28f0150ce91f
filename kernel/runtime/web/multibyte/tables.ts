/** Tables that kernel/native/multibyte.ts reads, unpacked. */
import { big5, gb18030, gb18030Ranges, jis0208, jis0212, korean } from "./indexes.ts";
import { joinViews, unpackIndex } from "./unpack.ts";

function ranges(): Uint32Array {
  let [pointer, code] = [0, 0];
  const numbers = gb18030Ranges.split(",").flatMap((range) => {
    const [more, further] = range.split(" ");
    pointer += Number.parseInt(more!, 36);
    code += Number.parseInt(further!, 36);
    return [pointer, code];
  });
  return Uint32Array.from(numbers);
}

export function simplifiedChineseTables(): Uint8Array {
  return joinViews(unpackIndex(gb18030, 23940).units, ranges());
}

export function traditionalChineseTables(): Uint8Array {
  const { units, isPlane2 } = unpackIndex(big5, 19782);
  return joinViews(units, isPlane2);
}

export function japaneseTables(): Uint8Array {
  return joinViews(unpackIndex(jis0208, 11104).units, unpackIndex(jis0212, 7211).units);
}

export function koreanTables(): Uint8Array {
  return joinViews(unpackIndex(korean, 23750).units);
}
