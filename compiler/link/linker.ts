import { assert, CodedError, fromHex } from "#base";
import type { CodeBlock, Relocation } from "../assemble/code.ts";

/**
 * Lays chunks out in four segments and fills in their relocations. All of it lies in the low 2 GiB, so that 32-bit
 * displacements and absolute 32-bit addresses reach everything; linear memories lie far above and are known by absolute symbols.
 *
 *     base ── text (r-x) ── read-only data (r--) ── data (rw-) ── zeroes (rw-)     each on pages of its own
 */
export type SegmentName = "text" | "rodata" | "data" | "bss";

export interface Segment {
  readonly name: SegmentName;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** More than the bytes when zeroes follow. */
  readonly memoryBytes: number;
}

export interface Symbol {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  readonly kind: "function" | "object";
}

export interface Linked {
  readonly segments: readonly Segment[];
  readonly symbols: readonly Symbol[];
  readonly addresses: ReadonlyMap<string, bigint>;
}

interface Chunk {
  readonly symbol: string;
  /** For people; undefined leaves it out of the symbol table. */
  readonly title: string | undefined;
  readonly scope: string;
  readonly block: CodeBlock;
  readonly align: number;
  address: number;
}

const pageBytes = 4096;
const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

export class Linker {
  private readonly chunks: Record<"text" | "rodata" | "data", Chunk[]> = { text: [], rodata: [], data: [] };
  private readonly zeroes: { readonly symbol: string; readonly bytes: number; address: number }[] = [];
  private readonly addresses = new Map<string, bigint>();
  private readonly aliases = new Map<string, string>();

  /**
   * Adds bytes under a symbol. Relocations name symbols of `scope` (prefixed by it), or global ones: those that begin with
   * `runtime.`, `constant.`, `memory.`, `stack.` or `image.` and have a second word.
   */
  add(
    segment: "text" | "rodata" | "data",
    symbol: string,
    block: CodeBlock,
    options: { readonly title?: string; readonly scope?: string; readonly align?: number } = {},
  ): void {
    this.chunks[segment].push({
      symbol,
      title: options.title,
      scope: options.scope ?? "",
      block,
      align: options.align ?? (segment === "text" ? 16 : 8),
      address: 0,
    });
  }

  addZeroes(symbol: string, bytes: number): void {
    this.zeroes.push({ symbol, bytes, address: 0 });
  }

  define(symbol: string, value: bigint): void {
    this.addresses.set(symbol, value);
  }

  alias(symbol: string, target: string): void {
    this.aliases.set(symbol, target);
  }

  private name(scope: string, symbol: string): string {
    return isGlobalSymbol(symbol) ? symbol : scope + symbol;
  }

  private resolve(name: string): bigint {
    const address = this.addresses.get(this.aliases.get(name) ?? name);
    if (address === undefined) throw new CodedError("MF_LINK_SYMBOL", `nothing defines the symbol ${name}`);
    return address;
  }

  /** The pool of 16-byte constants that code names by their bytes. */
  private addConstants(): void {
    const names = new Set<string>();
    for (const chunk of this.chunks.text)
      for (const { symbol } of chunk.block.relocations) if (symbol.startsWith("constant.")) names.add(symbol);
    for (const name of [...names].sort()) {
      const bytes = fromHex(name.slice("constant.".length));
      assert(bytes?.length === 16, `${name} is a constant of 16 bytes`);
      this.add("rodata", name, { bytes, relocations: [] }, { align: 16 });
    }
  }

  link(base: number): Linked {
    this.addConstants();
    const segments: Segment[] = [];
    const symbols: Symbol[] = [];
    let address = base;
    for (const name of ["text", "rodata", "data"] as const) {
      address = alignUp(address, pageBytes);
      const start = address;
      for (const chunk of this.chunks[name]) {
        address = alignUp(address, chunk.align);
        chunk.address = address;
        assert(!this.addresses.has(chunk.symbol), `${chunk.symbol} is defined once`);
        this.addresses.set(chunk.symbol, BigInt(address));
        if (chunk.title !== undefined)
          symbols.push({ name: chunk.title, address, bytes: chunk.block.bytes.length, kind: name === "text" ? "function" : "object" });
        address += chunk.block.bytes.length;
      }
      this.addresses.set(`image.${name}`, BigInt(start));
      this.addresses.set(`image.${name}End`, BigInt(address));
      segments.push({ name, address: start, bytes: new Uint8Array(address - start), memoryBytes: address - start });
    }
    address = alignUp(address, pageBytes);
    const start = address;
    for (const zero of this.zeroes) {
      address = alignUp(address, 16);
      this.addresses.set(zero.symbol, BigInt(address));
      address += zero.bytes;
    }
    segments.push({ name: "bss", address: start, bytes: new Uint8Array(0), memoryBytes: address - start });
    if (address > 2 ** 31) throw new CodedError("MF_LINK_LIMIT", `code and data take ${address - base} bytes and would pass 2 GiB`);
    (["text", "rodata", "data"] as const).forEach((name, i) => this.fill(this.chunks[name], segments[i] as Segment));
    return { segments, symbols, addresses: this.addresses };
  }

  private fill(chunks: readonly Chunk[], segment: Segment): void {
    if (segment.name === "text") segment.bytes.fill(0xcc);
    const view = new DataView(segment.bytes.buffer);
    for (const chunk of chunks) {
      const offset = chunk.address - segment.address;
      segment.bytes.set(chunk.block.bytes, offset);
      for (const relocation of chunk.block.relocations) this.apply(view, offset + relocation.at, chunk, relocation);
    }
  }

  private apply(view: DataView, offset: number, chunk: Chunk, relocation: Relocation): void {
    const target = this.resolve(this.name(chunk.scope, relocation.symbol)) + BigInt(relocation.addend);
    if (relocation.kind === "absolute64") {
      view.setBigUint64(offset, BigInt.asUintN(64, target), true);
      return;
    }
    const value = relocation.kind === "absolute32" ? Number(target) : Number(target) - (chunk.address + relocation.at + 4);
    assert(value >= -(2 ** 31) && value < 2 ** 31, `${relocation.symbol} is within reach`);
    view.setInt32(offset, value, true);
  }
}

const globalPrefixes = ["runtime.", "constant.", "memory.", "stack.", "image."];

export function isGlobalSymbol(symbol: string): boolean {
  return globalPrefixes.some((prefix) => symbol.startsWith(prefix));
}
