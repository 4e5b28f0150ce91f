/**
 * The page tables an ELF brings along, so that the machine has nothing to build before it pages (Intel SDM vol. 3, 4.5: four levels,
 * 4 KiB pages, and 2 MiB pages where a region allows).
 */
import { assert, CodedError } from "#base";

const pageBytes = 4096n;
const largeBytes = 0x20_0000n;
const entryBits = {
  present: 1n,
  writable: 2n,
  writeThrough: 8n,
  cacheDisable: 0x10n,
  accessed: 0x20n,
  dirty: 0x40n,
  large: 0x80n,
  noExecute: 1n << 63n,
};
const frameMask = 0x000f_ffff_ffff_f000n;

export interface Region {
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly bytes: bigint;
  readonly writable?: boolean;
  readonly executable?: boolean;
  readonly uncached?: boolean;
}

function leafBits(region: Region): bigint {
  const { present, writable, accessed, dirty, noExecute, cacheDisable, writeThrough } = entryBits;
  assert(!(region.writable === true && region.executable === true), "nothing is both writable and executable");
  let bits = present | accessed;
  if (region.writable === true) bits |= writable | dirty;
  if (region.executable !== true) bits |= noExecute;
  if (region.uncached === true) bits |= cacheDisable | writeThrough;
  return bits;
}

/** Tables laid out from `address` on; the first is the root. */
export class PageTables {
  readonly #address: bigint;
  readonly #most: number;
  readonly #tables: BigUint64Array[] = [];

  constructor(address: number, mostBytes: number) {
    this.#address = BigInt(address);
    this.#most = mostBytes / Number(pageBytes);
    this.#newTable();
  }

  #newTable(): bigint {
    if (this.#tables.length >= this.#most)
      throw new CodedError("MF_IMAGE_TOO_LARGE", "the image has more frozen pages than its page tables can hold: make the flow smaller");
    this.#tables.push(new BigUint64Array(512));
    return this.#address + BigInt(this.#tables.length - 1) * pageBytes;
  }

  #at(address: bigint): BigUint64Array {
    const table = this.#tables[Number((address - this.#address) / pageBytes)];
    assert(table !== undefined, "tables lie one after another");
    return table;
  }

  /** The table of `level` (4 is the root's) that covers an address; made when it is not there. */
  tableFor(virtual: bigint, level: number): bigint {
    let address = this.#address;
    for (let current = 4; current > level; current--) {
      const table = this.#at(address);
      const index = Number((virtual >> BigInt(12 + 9 * (current - 1))) & 511n);
      let entry = table[index] ?? 0n;
      assert((entry & entryBits.large) === 0n, "a large page is not mapped a second time");
      if (entry === 0n) {
        entry = this.#newTable() | entryBits.present | entryBits.writable | entryBits.accessed;
        table[index] = entry;
      }
      address = entry & frameMask;
    }
    return address;
  }

  map(region: Region): void {
    const bits = leafBits(region);
    assert(
      region.virtual % pageBytes === 0n && region.physical % pageBytes === 0n && region.bytes % pageBytes === 0n,
      "regions are whole pages",
    );
    let done = 0n;
    while (done < region.bytes) {
      const [virtual, physical] = [region.virtual + done, region.physical + done];
      const large = virtual % largeBytes === 0n && physical % largeBytes === 0n && region.bytes - done >= largeBytes;
      const table = this.#at(this.tableFor(virtual, large ? 2 : 1));
      const index = Number((virtual >> (large ? 21n : 12n)) & 511n);
      assert(table[index] === 0n, `address 0x${virtual.toString(16)} is mapped once`);
      table[index] = physical | bits | (large ? entryBits.large : 0n);
      done += large ? largeBytes : pageBytes;
    }
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#tables.length * Number(pageBytes));
    const view = new DataView(out.buffer);
    for (const [number, table] of this.#tables.entries())
      for (const [index, entry] of table.entries()) view.setBigUint64(number * Number(pageBytes) + 8 * index, entry, true);
    return out;
  }
}
