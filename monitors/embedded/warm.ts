/**
 * One warm instance of the engine, and what makes every message meet a pristine machine in it: before a message, each page that
 * the run before may have written, and each in which two images differ, is put back from the page store. The rewritten engine
 * marks what it writes (track.ts), so that is about thirty pages and not the whole memory.
 *
 *   memory    pages marked in the card table, and 8 bytes beyond each
 *   globals   the stack pointer and the machine's own memory size; the fuel (track.ts) no machine can see; the natives have none
 *   table     nothing in either module writes it (warm.test.ts looks)
 *
 * That holds however a step ended, unless the machine wrote to the card table: then the instance is unfit.
 */
import { assert } from "#base";
import { type Door, instantiateKernel, type KernelInstance, layout } from "#kernel";
import { pagesPerChunk, type PageTable } from "./page-store.ts";
import { encodeMemory, type SavedMemory } from "./saved-memory.ts";
import { askingExport, pageLimitExport, pagesExport, pollExport, pollSlot } from "./track.ts";

const { pageBytes, wasmPageBytes, monitorBytes } = layout;
const pageWords = pageBytes / 4;
const firstPage = monitorBytes / pageBytes;
/** How far a store may reach beyond the page whose card it marks. */
const reachBytes = 8;
/** Images a worker keeps in one piece, about 1.5 MB each, and after how many uses it does. */
const mostWholeImages = 16;
const oftenUsed = 8;

/** A machine that waits, outside its instance: the pages it wrote and its globals. */
export interface Hibernated {
  readonly table: PageTable;
  readonly pageNumbers: Uint32Array;
  readonly pages: Uint8Array;
  readonly memoryPages: number;
  readonly stackPointer: number;
}

/** About a millisecond. */
const gracePolls = 4;

/** Result of a step. `compromised`: the machine wrote where only the monitor writes; trust nothing of it. */
export type StepStatus = "complete" | "interrupted" | "escaped" | "trapped" | "compromised" | "no-memory";

export interface StepResult {
  readonly status: StepStatus;
  /** View of the effects' frame, valid until the next step. Empty unless the status is complete, interrupted or escaped. */
  readonly effects: Uint8Array;
  /** Message of the trap. */
  readonly detail: string;
}

const nothing = new Uint8Array(0);
/** The natives' `step` returns this when it was interrupted (kernel/native/door.ts). */
const interruptedStep = -1;

/** `bytes[at…] ^= other`. */
function xor(bytes: Uint8Array, at: number, other: Uint8Array): void {
  for (let index = 0; index < other.length; index++) bytes[at + index] = (bytes[at + index] as number) ^ (other[index] as number);
}

/** True for a page of zeros at `at`. */
function isZeroPage(bytes: Uint8Array, at: number): boolean {
  for (let index = at; index < at + pageBytes; index++) if (bytes[index] !== 0) return false;
  return true;
}

export class WarmInstance {
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: KernelInstance;
  readonly #door: Door;
  readonly #stackPointer: WebAssembly.Global<number>;
  readonly #pages: WebAssembly.Global<number>;
  readonly #asking: WebAssembly.Global<number> | undefined;
  readonly #pageLimit: WebAssembly.Global<number>;
  readonly #chunks: readonly Uint8Array[];
  #bytes = nothing;
  #words = new Int32Array(0);
  #table: PageTable | undefined;
  #unfit = false;
  /** The step was asked to stop. */
  #stopped = false;
  /** Polls that find nothing once it was: for the kernel, which notes where that was. */
  #grace = 0;

  constructor(engine: WebAssembly.Module, native: WebAssembly.Module, chunks: readonly Uint8Array[], interrupt: () => number) {
    const kernel = instantiateKernel(engine, native, () => {
      if (this.#stopped) return this.#grace-- > 0 ? 0 : 1;
      if (interrupt() === 0) return 0;
      this.#stopped = true;
      this.#grace = gracePolls;
      if (this.#asking?.value === 0) this.#door.noteInterrupt(); // a loop's poll is a trap, which is noted once it has happened
      return 1;
    });
    kernel.engine.__indirect_function_table.set(pollSlot, kernel.engine[pollExport]);
    this.#memory = kernel.engine.memory;
    this.#kernel = kernel;
    this.#door = kernel.door;
    this.#asking = kernel.engine[askingExport] as WebAssembly.Global<number>;
    this.#stackPointer = kernel.engine.__stack_pointer;
    this.#pages = kernel.engine[pagesExport] as WebAssembly.Global<number>;
    this.#pageLimit = kernel.engine[pageLimitExport] as WebAssembly.Global<number>;
    this.#chunks = chunks;
    this.#refresh();
  }

  /** Growing a memory detaches the buffer that views were made of. */
  #refresh(): void {
    if (this.#bytes.buffer === this.#memory.buffer) return;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#words = new Int32Array(this.#memory.buffer);
  }

  /** True when the instance must not be used again. */
  get unfit(): boolean {
    return this.#unfit;
  }

  /** Its linear memory, in pages of 64 KiB; it never shrinks. */
  get memoryPages(): number {
    return this.#bytes.length / wasmPageBytes;
  }

  /** Memory it keeps of images beside that, in pages of 64 KiB. */
  get wholePages(): number {
    return this.#wholePages;
  }

  /** For tests: the whole memory, card table included. */
  get memory(): Uint8Array {
    this.#refresh();
    return this.#bytes;
  }

  /** For tests: an engine function, called as compromised code in the machine could call it. */
  exportsForTest(name: string): (...values: number[]) => number {
    return (...values) => this.#kernel.call(name, ...values);
  }

  /** For tests: a global that another rewriting of the engine exports. */
  globalForTest(name: string): number {
    return (this.#kernel.engine[name] as WebAssembly.Global<number>).value;
  }

  setGlobalForTest(name: string, value: number): void {
    (this.#kernel.engine[name] as WebAssembly.Global<number>).value = value;
  }

  get globals(): { readonly stackPointer: number; readonly memoryPages: number } {
    return { stackPointer: this.#stackPointer.value, memoryPages: this.#pages.value };
  }

  /** Makes the instance a pristine machine of `table`, whatever it was before. `limitPages`: memory it may grow to, in 64 KiB pages. */
  reset(table: PageTable, limitPages: number): void {
    const needed = table.memoryPages - this.#memory.buffer.byteLength / wasmPageBytes;
    if (needed > 0) this.#memory.grow(needed);
    this.#refresh();
    if (this.#table !== table) this.#markDifferences(table);
    const whole = this.#wholeImage(table);
    if (whole === undefined) this.#restoreMarked(table.entries);
    else this.#restoreRuns(whole);
    this.#table = table;
    this.#stackPointer.value = table.stackPointer;
    this.#pages.value = table.memoryPages;
    this.#pageLimit.value = Math.max(limitPages, table.memoryPages);
  }

  /** Marks every page whose contents the two images do not share. */
  #markDifferences(table: PageTable): void {
    const last = this.#bytes.length / pageBytes;
    const before = this.#table?.entries;
    for (let page = firstPage; page < last; page++) {
      // A fresh instance holds the engine's and the natives' own data: everything in it is taken as different.
      if (before === undefined || (before[page] ?? 0) !== (table.entries[page] ?? 0)) this.#bytes[page] = 1;
    }
  }

  #wholePages = 0;
  readonly #wholes = new Map<PageTable, { uses: number; memory: Uint8Array | undefined }>();

  /** The image as one piece of the worker's own memory, once it is used often: runs of pages are then put back by one copy each. */
  #wholeImage(table: PageTable): Uint8Array | undefined {
    let whole = this.#wholes.get(table);
    if (whole === undefined) {
      whole = { uses: 0, memory: undefined };
      this.#wholes.set(table, whole);
      const oldest = this.#wholes.size > mostWholeImages ? this.#wholes.keys().next().value : undefined;
      if (oldest !== undefined) this.#forgetWhole(oldest);
    }
    if (++whole.uses < oftenUsed || whole.memory !== undefined) return whole.memory;
    whole.memory = new Uint8Array(table.entries.length * pageBytes);
    this.#wholePages += table.memoryPages;
    for (const [page, entry] of table.entries.entries()) if (entry !== 0) whole.memory.set(this.#page(entry), page * pageBytes);
    return whole.memory;
  }

  #forgetWhole(table: PageTable): void {
    if (this.#wholes.get(table)?.memory !== undefined) this.#wholePages -= table.memoryPages;
    this.#wholes.delete(table);
  }

  /** As restoreMarked, from a whole image: consecutive pages at once. */
  #restoreRuns(whole: Uint8Array): void {
    const bytes = this.#bytes;
    const last = bytes.length / pageBytes;
    for (let page = firstPage; page < last; page++) {
      if ((page & 3) === 0 && this.#words[page >> 2] === 0) {
        page += 3;
        continue;
      }
      if (bytes[page] === 0) continue;
      const first = page;
      while (page < last && bytes[page] !== 0) bytes[page++] = 0;
      this.#restoreRange(whole, first * pageBytes, Math.min(page * pageBytes + reachBytes, bytes.length));
    }
  }

  #restoreRange(whole: Uint8Array, from: number, to: number): void {
    if (from < whole.length) this.#bytes.set(whole.subarray(from, Math.min(to, whole.length)), from);
    if (to > whole.length) this.#bytes.fill(0, Math.max(from, whole.length), to);
  }

  /** Puts every marked page back, and the 8 bytes behind it that an unaligned store may have reached. */
  #restoreMarked(entries: Uint32Array): void {
    const words = this.#words;
    const last = this.#bytes.length / pageBytes;
    for (let group = firstPage / 4; group < last / 4; group++) {
      if (words[group] === 0) continue;
      for (let page = group * 4; page < group * 4 + 4; page++) {
        if (this.#bytes[page] === 0) continue;
        const entry = entries[page] ?? 0;
        if (entry === 0) words.fill(0, page * pageWords, (page + 1) * pageWords);
        else this.#bytes.set(this.#page(entry), page * pageBytes);
        this.#restoreHead(page + 1, last, entries[page + 1] ?? 0);
      }
      words[group] = 0;
    }
  }

  #restoreHead(page: number, last: number, entry: number): void {
    if (page >= last) return;
    const at = page * pageWords;
    if (entry === 0) {
      this.#words[at] = 0;
      this.#words[at + 1] = 0;
    } else this.#bytes.set(this.#page(entry).subarray(0, 8), page * pageBytes);
  }

  readonly #views: Uint8Array[] = [];

  /** A stored page; views are made once. */
  #page(entry: number): Uint8Array {
    let view = this.#views[entry];
    if (view === undefined) {
      const chunk = this.#chunks[Math.floor((entry - 1) / pagesPerChunk)];
      assert(chunk !== undefined, "a page table names a page that its worker was not given");
      const at = ((entry - 1) % pagesPerChunk) * pageBytes;
      view = chunk.subarray(at, at + pageBytes);
      this.#views[entry] = view;
    }
    return view;
  }

  /** Runs one step with the event's frame. Never throws for what the machine does. */
  step(frame: Uint8Array): StepResult {
    this.#stopped = false;
    let result: StepResult;
    try {
      result = this.#run(frame);
    } catch (trap) {
      result = this.#trapped(trap);
    }
    if (result.status !== "complete" && result.status !== "interrupted" && this.#isExhausted()) result = { ...result, status: "no-memory" };
    // A trap, or no memory, leaves the engine in mid-flight, but all of its state is put back like any other: what the cards say counts.
    if (!this.#wroteCards()) return result;
    // Engine code that does not look at what it was given writes at 0 when that is nothing.
    this.#unfit = true;
    return this.#isExhausted() ? result : this.#compromised("the machine wrote to the monitor's part of its memory");
  }

  #run(frame: Uint8Array): StepResult {
    const at = this.#door.eventBuffer(frame.length);
    this.#refresh();
    if (at === 0) return { status: "no-memory", effects: nothing, detail: "" };
    if (at < monitorBytes || at + frame.length + 1 > this.#bytes.length)
      return this.#compromised("the event buffer lies outside the memory");
    this.#bytes.set(frame, at);
    this.#bytes[at + frame.length] = 0;
    for (let page = Math.floor(at / pageBytes); page <= Math.floor((at + frame.length) / pageBytes); page++) this.#bytes[page] = 1;
    const length = this.#door.step();
    this.#refresh();
    return this.#result(length);
  }

  /** A poll that said stop is a trap as well (track.ts): what was logged before is in the frame of effects. */
  #trapped(trap: unknown): StepResult {
    this.#refresh();
    const trapped: StepResult = { status: "trapped", effects: nothing, detail: trap instanceof Error ? trap.message : String(trap) };
    if (!this.#stopped) return trapped;
    try {
      this.#door.closeFrame();
      if (!this.#wroteCards()) this.#noteTrap();
      return this.#result(interruptedStep);
    } catch {
      return trapped;
    }
  }

  /** The engine was in the middle of something: what it does now may trap as well, or write anywhere. */
  #noteTrap(): void {
    try {
      this.#door.noteTrap();
    } catch {
      // The frame without it is whole.
    }
    this.#refresh();
    if (!this.#wroteCards()) return;
    this.#unfit = true;
    this.#bytes.fill(0, 0, firstPage);
  }

  #compromised(detail: string): StepResult {
    this.#unfit = true;
    return { status: "compromised", effects: nothing, detail };
  }

  /** An allocation failed: whatever the step ended as, that is why. */
  #isExhausted(): boolean {
    return this.#words[layout.exhaustedAt / 4] !== 0;
  }

  #wroteCards(): boolean {
    for (let group = 0; group < firstPage / 4; group++) if (this.#words[group] !== 0) return true;
    return false;
  }

  #result(length: number): StepResult {
    const at = this.#door.effects();
    const size = length >= 0 ? length : this.#door.effectsLength();
    if (at < monitorBytes || size < 0 || at + size > this.#bytes.length) return this.#compromised("the effects lie outside the memory");
    const status = length >= 0 ? "complete" : length === interruptedStep ? "interrupted" : "escaped";
    return { status, effects: this.#bytes.subarray(at, at + size), detail: "" };
  }

  /** Bytes a machine that waits here would take, in whole pages; a little more when a store reached into the next one. */
  get writtenBytes(): number {
    let pages = 0;
    for (let page = firstPage; page < this.#bytes.length / pageBytes; page++) pages += this.#bytes[page] as number;
    return pages * pageBytes;
  }

  /** Takes the waiting machine out of the instance. `take` gives memory for its pages, with anything in it. */
  hibernate(take: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)): Hibernated {
    const table = this.#table;
    assert(table !== undefined, "only a machine that was started can hibernate");
    const numbers: number[] = [];
    const last = this.#bytes.length / pageBytes;
    for (let page = firstPage; page < last; page++) {
      if (this.#bytes[page] === 0) continue;
      numbers.push(page);
      if (page + 1 < last && this.#bytes[page + 1] === 0 && this.#headDiffers(page + 1, table)) this.#bytes[page + 1] = 1;
    }
    const pages = take(numbers.length * pageBytes);
    for (const [index, page] of numbers.entries())
      pages.set(this.#bytes.subarray(page * pageBytes, (page + 1) * pageBytes), index * pageBytes);
    return { table, pageNumbers: Uint32Array.from(numbers), pages, memoryPages: this.#pages.value, stackPointer: this.#stackPointer.value };
  }

  /** True if the first 8 bytes of an unmarked page were written by a store that began in the page before. */
  #headDiffers(page: number, table: PageTable): boolean {
    const entry = table.entries[page] ?? 0;
    for (let i = 0; i < 8; i++) {
      const pristine = entry === 0 ? 0 : this.#page(entry)[i];
      if (this.#bytes[page * pageBytes + i] !== pristine) return true;
    }
    return false;
  }

  /** The memory of a hibernated machine as a frame of saved-memory.ts. */
  difference({ table, pageNumbers, pages, memoryPages, stackPointer }: Hibernated): Uint8Array {
    const changed = pages.slice();
    const numbers: number[] = [];
    for (const [index, page] of pageNumbers.entries()) {
      const entry = table.entries[page] ?? 0;
      const at = index * pageBytes;
      if (entry !== 0) xor(changed, at, this.#page(entry));
      if (isZeroPage(changed, at)) continue; // it was written with what it had
      changed.copyWithin(numbers.length * pageBytes, at, at + pageBytes);
      numbers.push(page);
    }
    const left = changed.subarray(0, numbers.length * pageBytes);
    return encodeMemory({ stackPointer, memoryPages, pageNumbers: Uint32Array.from(numbers), pages: left });
  }

  /** Makes the instance, which is a pristine machine of the image, the one whose memory was saved. */
  restore({ pageNumbers, pages, memoryPages, stackPointer }: SavedMemory, limitPages: number): void {
    const needed = memoryPages - this.#memory.buffer.byteLength / wasmPageBytes;
    if (needed > 0) this.#memory.grow(needed);
    this.#refresh();
    for (const [index, page] of pageNumbers.entries()) {
      xor(this.#bytes, page * pageBytes, pages.subarray(index * pageBytes, (index + 1) * pageBytes));
      this.#bytes[page] = 1;
    }
    this.#pages.value = memoryPages;
    this.#pageLimit.value = Math.max(limitPages, memoryPages);
    this.#stackPointer.value = stackPointer;
  }

  /** Puts a hibernated machine back. */
  resume(machine: Hibernated, limitPages: number): void {
    this.reset(machine.table, limitPages);
    const needed = machine.memoryPages - this.#memory.buffer.byteLength / wasmPageBytes;
    if (needed > 0) this.#memory.grow(needed);
    this.#refresh();
    for (const [index, page] of machine.pageNumbers.entries()) {
      this.#bytes.set(machine.pages.subarray(index * pageBytes, (index + 1) * pageBytes), page * pageBytes);
      this.#bytes[page] = 1;
    }
    this.#pages.value = machine.memoryPages;
    this.#stackPointer.value = machine.stackPointer;
  }
}
