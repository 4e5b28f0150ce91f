/** A board in V8 for drivers that were compiled to WebAssembly: physical memory, devices at any address, PCI's configuration space. */
import { assert } from "#base";
import { machineMap as map } from "#kernel";

export interface BoardDevice {
  /** Physical address. */
  readonly at: bigint;
  readonly bytes: Uint8Array;
  /** Called after a write, with the offset. */
  readonly written?: (offset: number, value: number) => void;
}

const startInfoPointer = 0x800;
const windowTable = map.tablesAt + 0x1000;
const frameMask = 0x000f_ffff_ffff_f000n;

export class Board {
  readonly devices: BoardDevice[] = [];
  /** Configuration spaces by place (device × 8 + function). */
  readonly pci = new Map<number, DataView>();
  /** Writes to ports, as [port, value]. */
  readonly ports: (readonly [number, number])[] = [];
  readonly exports: WebAssembly.Exports;
  #configAddress = 0;

  constructor(module: WebAssembly.Module) {
    const symbols: Record<string, number> = { "runtime.startInfo": startInfoPointer };
    const read = (bits: number) => (address: number | bigint) => {
      const [view, offset] = this.#at(address);
      return bits === 8 ? view.getUint8(offset) : bits === 16 ? view.getUint16(offset, true) : view.getUint32(offset, true);
    };
    const write = (bits: number) => (address: number | bigint, value: number) => {
      const [view, offset, device] = this.#at(address);
      if (bits === 8) view.setUint8(offset, value);
      else if (bits === 16) view.setUint16(offset, value, true);
      else view.setUint32(offset, value, true);
      device?.written?.(offset, value >>> 0);
    };
    const mmio: Record<string, unknown> = {};
    for (const bits of [8, 16, 32]) Object.assign(mmio, { [`read${bits}`]: read(bits), [`write${bits}`]: write(bits) });
    mmio["read64"] = (address: number | bigint): bigint => this.#at(address)[0].getBigUint64(this.#at(address)[1], true);
    mmio["write64"] = (address: number | bigint, value: bigint): void =>
      this.#at(address)[0].setBigUint64(this.#at(address)[1], value, true);
    const known: Record<string, unknown> = {
      inl: (port: number) => (port === 0xcfc ? this.#config() : 0xffffffff),
      inb: () => 0xff,
      outl: (port: number, value: number) => this.#out(port, value >>> 0),
    };
    const imports: Record<string, Record<string, unknown>> = { cpu: {}, mmio, symbol: {} };
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      const group = (imports[from] ??= {});
      if (from === "symbol") group[name] = () => BigInt(symbols[name] ?? 0);
      else if (from === "cpu") group[name] = known[name] ?? (() => 0);
    }
    this.exports = new WebAssembly.Instance(module, imports as WebAssembly.Imports).exports;
    this.memory.setUint32(map.headerAt + map.headerWindowTable, windowTable, true);
  }

  get memory(): DataView {
    return new DataView((this.exports["memory"] as WebAssembly.Memory).buffer);
  }

  /** Calls an exported function. */
  call(name: string, ...values: readonly number[]): number {
    return Number((this.exports[name] as (...values: readonly number[]) => number | bigint)(...values));
  }

  set startInfo(at: number) {
    this.memory.setUint32(startInfoPointer, at, true);
  }

  /** Physical memory or a device behind an address of the drivers. */
  #at(address: number | bigint): [DataView, number, BoardDevice?] {
    let physical = BigInt.asUintN(typeof address === "number" ? 32 : 64, BigInt(address));
    const inWindow = physical - BigInt(map.windowAt);
    if (inWindow >= 0n && inWindow < BigInt(map.windowBytes)) {
      const entry = this.memory.getBigUint64(windowTable + 8 * Number(inWindow >> 12n), true);
      assert((entry & 1n) === 1n, "the drivers have mapped what they read");
      physical = (entry & frameMask) + (inWindow & 0xfffn);
    }
    const device = this.devices.find(({ at, bytes }) => physical >= at && physical < at + BigInt(bytes.length));
    if (device !== undefined) return [new DataView(device.bytes.buffer), Number(physical - device.at), device];
    assert(physical < BigInt(this.memory.byteLength), `there is nothing at 0x${physical.toString(16)}`);
    return [this.memory, Number(physical)];
  }

  #config(): number {
    const space = this.pci.get((this.#configAddress >> 8) & 0xffff);
    return space === undefined ? 0xffffffff : space.getUint32(this.#configAddress & 0xfc, true);
  }

  #out(port: number, value: number): void {
    this.ports.push([port, value]);
    if (port === 0xcf8) this.#configAddress = value & 0x7fffffff;
    if (port !== 0xcfc) return;
    const [space, offset] = [this.pci.get((this.#configAddress >> 8) & 0xffff), this.#configAddress & 0xfc];
    const kept = offset === 4 && space !== undefined ? space.getUint32(4, true) & 0xffff0000 : undefined; // ones clear bits of the status
    space?.setUint32(offset, kept === undefined ? value : kept | (value & 0xffff), true);
  }
}
