import { assert, toUtf8 } from "#base";
import type { Symbol } from "./linker.ts";

/**
 * Writes a static ELF64 executable (System V gABI, x86-64 psABI):
 *
 *     ELF header │ program headers │ segments, each on a page boundary │ .symtab .strtab .shstrtab │ section headers
 *
 * Nothing in it depends on the time, the machine or the order of maps: equal input, equal bytes.
 */
export interface LoadSegment {
  readonly name: string;
  readonly address: bigint;
  /** Where a loader without paging puts it; the address when undefined. */
  readonly physicalAddress?: bigint;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

export interface Note {
  readonly owner: string;
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface Executable {
  readonly entry: bigint;
  readonly segments: readonly LoadSegment[];
  readonly symbols: readonly Symbol[];
  readonly notes?: readonly Note[];
}

const pageBytes = 4096;
const headerBytes = 64;
const programHeaderBytes = 56;
const sectionHeaderBytes = 64;
const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

class StringTable {
  private readonly parts: Uint8Array[] = [Uint8Array.of(0)];
  length = 1;
  add(text: string): number {
    const at = this.length;
    const bytes = toUtf8(`${text}\0`);
    this.parts.push(bytes);
    this.length += bytes.length;
    return at;
  }
  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.parts));
  }
}

function noteBytes(notes: readonly Note[]): Uint8Array {
  const parts = notes.map((note) => {
    const owner = toUtf8(`${note.owner}\0`);
    const out = new Uint8Array(12 + alignUp(owner.length, 4) + alignUp(note.bytes.length, 4));
    const view = new DataView(out.buffer);
    view.setUint32(0, owner.length, true);
    view.setUint32(4, note.bytes.length, true);
    view.setUint32(8, note.type, true);
    out.set(owner, 12);
    out.set(note.bytes, 12 + alignUp(owner.length, 4));
    return out;
  });
  return new Uint8Array(Buffer.concat(parts));
}

function symbolTable(executable: Executable, names: StringTable): Uint8Array {
  const out = new Uint8Array(24 * (executable.symbols.length + 1));
  const view = new DataView(out.buffer);
  executable.symbols.forEach((symbol, i) => {
    const at = 24 * (i + 1);
    const section = executable.segments.findIndex(
      (s) => BigInt(symbol.address) >= s.address && BigInt(symbol.address) < s.address + BigInt(Math.max(s.memoryBytes, 1)),
    );
    view.setUint32(at, names.add(symbol.name), true);
    out[at + 4] = 0x10 | (symbol.kind === "function" ? 2 : 1); // STB_GLOBAL
    view.setUint16(at + 6, section < 0 ? 0xfff1 : section + 1, true); // SHN_ABS
    view.setBigUint64(at + 8, BigInt(symbol.address), true);
    view.setBigUint64(at + 16, BigInt(symbol.bytes), true);
  });
  return out;
}

interface SectionHeader {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly bytes: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entryBytes: number;
}

export function writeElf(executable: Executable): Uint8Array {
  const { segments } = executable;
  const notes = noteBytes(executable.notes ?? []);
  const programHeaders = segments.length + 1 + (notes.length > 0 ? 1 : 0);
  const notesAt = headerBytes + programHeaders * programHeaderBytes;
  let at = notesAt + notes.length;
  const offsets = segments.map((segment) => {
    if (segment.bytes.length === 0) return 0;
    at = alignUp(at, pageBytes);
    const offset = at;
    at += segment.bytes.length;
    return offset;
  });
  const names = new StringTable();
  const symbols = symbolTable(executable, names);
  const symbolsAt = alignUp(at, 8);
  const strings = names.bytes();
  const stringsAt = symbolsAt + symbols.length;
  const sectionNames = new StringTable();
  const sections: SectionHeader[] = [
    { name: "", type: 0, flags: 0, address: 0n, offset: 0, bytes: 0, link: 0, info: 0, align: 0, entryBytes: 0 },
    ...segments.map((s, i) => ({
      name: `.${s.name}`,
      type: s.bytes.length > 0 ? 1 : 8,
      flags: 2 | (s.writable ? 1 : 0) | (s.executable ? 4 : 0),
      address: s.address,
      offset: offsets[i] as number,
      bytes: s.bytes.length > 0 ? s.bytes.length : s.memoryBytes,
      link: 0,
      info: 0,
      align: pageBytes,
      entryBytes: 0,
    })),
  ];
  const stringSection = sections.length + 1;
  sections.push({
    name: ".symtab",
    type: 2,
    flags: 0,
    address: 0n,
    offset: symbolsAt,
    bytes: symbols.length,
    link: stringSection,
    info: 1,
    align: 8,
    entryBytes: 24,
  });
  sections.push({
    name: ".strtab",
    type: 3,
    flags: 0,
    address: 0n,
    offset: stringsAt,
    bytes: strings.length,
    link: 0,
    info: 0,
    align: 1,
    entryBytes: 0,
  });
  const nameOffsets = [...sections.map((s) => sectionNames.add(s.name)), sectionNames.add(".shstrtab")];
  const nameBytes = sectionNames.bytes();
  const namesAt = stringsAt + strings.length;
  sections.push({
    name: ".shstrtab",
    type: 3,
    flags: 0,
    address: 0n,
    offset: namesAt,
    bytes: nameBytes.length,
    link: 0,
    info: 0,
    align: 1,
    entryBytes: 0,
  });
  const sectionsAt = alignUp(namesAt + nameBytes.length, 8);

  const out = new Uint8Array(sectionsAt + sections.length * sectionHeaderBytes);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, executable.entry, true);
  view.setBigUint64(32, BigInt(headerBytes), true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  view.setUint16(52, headerBytes, true);
  view.setUint16(54, programHeaderBytes, true);
  view.setUint16(56, programHeaders, true);
  view.setUint16(58, sectionHeaderBytes, true);
  view.setUint16(60, sections.length, true);
  view.setUint16(62, sections.length - 1, true);
  let header = headerBytes;
  const program = (
    type: number,
    flags: number,
    offset: number,
    address: bigint,
    physical: bigint,
    fileBytes: number,
    memoryBytes: number,
    align: number,
  ): void => {
    view.setUint32(header, type, true);
    view.setUint32(header + 4, flags, true);
    view.setBigUint64(header + 8, BigInt(offset), true);
    view.setBigUint64(header + 16, address, true);
    view.setBigUint64(header + 24, physical, true);
    view.setBigUint64(header + 32, BigInt(fileBytes), true);
    view.setBigUint64(header + 40, BigInt(memoryBytes), true);
    view.setBigUint64(header + 48, BigInt(align), true);
    header += programHeaderBytes;
  };
  segments.forEach((s, i) => {
    assert(!(s.writable && s.executable), "no segment is both writable and executable");
    assert(s.address % BigInt(pageBytes) === 0n, `${s.name} begins on a page`);
    const flags = 4 | (s.writable ? 2 : 0) | (s.executable ? 1 : 0);
    program(1, flags, offsets[i] as number, s.address, s.physicalAddress ?? s.address, s.bytes.length, s.memoryBytes, pageBytes);
    out.set(s.bytes, offsets[i]);
  });
  if (notes.length > 0) {
    program(4, 4, notesAt, 0n, 0n, notes.length, notes.length, 4);
    out.set(notes, notesAt);
  }
  program(0x6474e551, 6, 0, 0n, 0n, 0, 0, 16); // PT_GNU_STACK: not executable
  out.set(symbols, symbolsAt);
  out.set(strings, stringsAt);
  out.set(nameBytes, namesAt);
  sections.forEach((s, i) => {
    const place = sectionsAt + i * sectionHeaderBytes;
    view.setUint32(place, nameOffsets[i] as number, true);
    view.setUint32(place + 4, s.type, true);
    view.setBigUint64(place + 8, BigInt(s.flags), true);
    view.setBigUint64(place + 16, s.address, true);
    view.setBigUint64(place + 24, BigInt(s.offset), true);
    view.setBigUint64(place + 32, BigInt(s.bytes), true);
    view.setUint32(place + 40, s.link, true);
    view.setUint32(place + 44, s.info, true);
    view.setBigUint64(place + 48, BigInt(s.align), true);
    view.setBigUint64(place + 56, BigInt(s.entryBytes), true);
  });
  return out;
}
