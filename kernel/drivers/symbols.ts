/** Names of functions by address: the ELF brings them sorted. */
import { headerAt, headerSymbolCount, headerSymbols } from "./map";
import { print, printBytes, printHex } from "./serial";

const entryBytes: usize = 12;

export function printFunction(address: u64): void {
  const table = <usize>load<u32>(<usize>headerAt, headerSymbols);
  let low: u32 = 0,
    high = load<u32>(<usize>headerAt, headerSymbolCount);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (<u64>load<u32>(table + <usize>middle * entryBytes) <= address) low = middle + 1;
    else high = middle;
  }
  if (low === 0) {
    print("no function");
    return;
  }
  const entry = table + <usize>(low - 1) * entryBytes;
  printBytes(<usize>load<u32>(entry, 8), load<u32>(entry, 4));
  print("+0x");
  printHex(address - <u64>load<u32>(entry), 4);
}
