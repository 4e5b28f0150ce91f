/**
 * Machines of hypervisors that can't be run here, laid out under the drivers themselves: Cloud Hypervisor as its sources have it
 * (arch/src/x86_64/layout.rs, virtio-devices/src/transport/pci_device.rs), Firecracker with the addresses of its versions that boot by PVH
 * (src/vmm/src/arch/x86_64/layout.rs, and its command line).
 */
import { equal, notEqual, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { Board, type BoardDevice } from "./testing/board.ts";
import { buildTestDrivers } from "./testing/guests.ts";

const startMagic = 0x336ec578;
const mib = 2 ** 20;
const virtio = 0x1af4;

interface Layout {
  readonly commandLine: string;
  readonly memory: readonly (readonly [from: number, bytes: number, type: number])[];
  readonly module?: readonly [at: number, bytes: number];
}

/** Both write the start info to 0x6000, the memory map to 0x7000 and the command line to 0x20000; modules to 0x6040. */
function writeStartInfo(board: Board, { commandLine, memory, module }: Layout): void {
  const view = board.memory;
  const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(0x6000, startMagic, true);
  view.setUint32(0x6004, 1, true);
  view.setUint32(0x600c, module === undefined ? 0 : 1, true);
  long(0x6010, module === undefined ? 0 : 0x6040);
  long(0x6018, 0x20000);
  long(0x6028, 0x7000);
  view.setUint32(0x6030, memory.length, true);
  if (module !== undefined) [long(0x6040, module[0]), long(0x6048, module[1])];
  for (const [index, [from, bytes, type]] of memory.entries()) {
    long(0x7000 + 24 * index, from);
    long(0x7008 + 24 * index, bytes);
    view.setUint32(0x7010 + 24 * index, type, true);
  }
  new Uint8Array(view.buffer).set(Buffer.from(`${commandLine}\0`, "latin1"), 0x20000);
  board.startInfo = 0x6000;
}

/** A device with memory-mapped registers, which agrees to all features. */
function mmioDevice(at: bigint, kind: number, version = 2): BoardDevice {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of [
    [0, 0x74726976],
    [4, version],
    [8, kind],
    [0x10, 0xffffffff],
    [0x34, 256],
  ] as const)
    view.setUint32(offset, value, true);
  return { at, bytes };
}

let drivers: WebAssembly.Module;
before(async () => {
  drivers = new WebAssembly.Module((await buildTestDrivers("layouts.ts")) as Uint8Array<ArrayBuffer>);
});

describe("Firecracker", () => {
  const layout: Layout = {
    commandLine: "reboot=k panic=1 virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@0xc0002000:6",
    memory: [
      [0, 0x9fc00, 1],
      [0x9fc00, 0x20400, 2],
      [mib, 127 * mib, 1],
      [0xeec00000, 0x400000, 2],
    ],
    module: [0x7ff0000, 300],
  };

  test("its memory, its first module, and its devices below the ones of QEMU", () => {
    const board = new Board(drivers);
    writeStartInfo(board, layout);
    board.devices.push(mmioDevice(0xc0001000n, 1), mmioDevice(0xc0002000n, 4));
    equal(board.call("startedByPvh"), 1);
    equal(board.call("endOfMemory"), 128 * mib);
    board.call("findModule");
    equal(board.call("moduleAt"), 0x7ff0000);
    equal(board.call("moduleBytes"), 300);
    const [network, entropy] = [board.call("findDevice", 1), board.call("findDevice", 4)];
    ok(network !== 0 && entropy !== 0 && network !== entropy);
    equal(board.call("beginDevice", network, 1 << 5), 1);
    const queue = board.call("queue", network, 1);
    notEqual(queue, 0);
    board.call("startDevice", network);
    board.call("notify", network, 1);
    const registers = new DataView((board.devices[0] as BoardDevice).bytes.buffer);
    equal(registers.getUint32(0x70, true), 15, "status: driver ready");
    equal(registers.getUint32(0x80, true), queue);
    equal(registers.getUint32(0x38, true), 16);
    equal(registers.getUint32(0x50, true), 1, "queue 1 was notified");
    equal(new DataView((board.devices[1] as BoardDevice).bytes.buffer).getUint32(0x70, true), 0, "the other one was left alone");
  });

  test("a device that is of before virtio 1.0, or another kind, is not taken", () => {
    const board = new Board(drivers);
    writeStartInfo(board, layout);
    board.devices.push(mmioDevice(0xc0001000n, 1, 1), mmioDevice(0xc0002000n, 2));
    equal(board.call("findDevice", 1), 0);
    equal(board.call("findDevice", 4), 0);
  });
});

describe("Cloud Hypervisor", () => {
  const barAt = 0x3f_ffd8_0000n;
  const layout: Layout = {
    commandLine: "",
    memory: [
      [0, 0xa0000, 1],
      [mib, 511 * mib, 1],
      [0xe8000000, 0x10000000, 2],
    ],
  };
  /** Offsets in region 0, where it puts all of a device's registers. */
  const [deviceAt, notifyAt, messagesAt] = [0x4000, 0x6000, 0x8000];

  function pciFunction(kind: number): DataView {
    const space = new DataView(new ArrayBuffer(256));
    const set = (offset: number, ...bytes: readonly number[]): void => bytes.forEach((byte, index) => space.setUint8(offset + index, byte));
    const long = (offset: number, value: number): void => space.setUint32(offset, value, true);
    long(0, ((0x1040 + kind) << 16) | virtio);
    long(4, 0x00100000); // it has capabilities
    long(0x10, Number(barAt & 0xffffffffn) | 4); // memory, 64 bits
    long(0x14, Number(barAt >> 32n));
    space.setUint8(0x34, 0x40);
    const capability = (at: number, next: number, type: number, offset: number, length: number): void => {
      set(at, 9, next, 16, type, 0);
      long(at + 8, offset);
      long(at + 12, length);
    };
    capability(0x40, 0x50, 1, 0, 56);
    capability(0x50, 0x60, 3, 0x2000, 1);
    capability(0x60, 0x70, 4, deviceAt, 0x1000);
    capability(0x70, 0x84, 2, notifyAt, 0x1000);
    long(0x80, 4); // stride of notifications
    set(0x84, 0x11, 0, 1, 0);
    long(0x88, messagesAt); // table in region 0
    return space;
  }

  test("its devices on PCI, with registers above 4 GiB and interrupts as messages", () => {
    const board = new Board(drivers);
    writeStartInfo(board, layout);
    const space = pciFunction(1);
    const host = new DataView(new ArrayBuffer(256));
    host.setUint32(0, 0x0d578086, true);
    board.pci.set(0, host);
    board.pci.set(3 * 8, space);
    const bytes = new Uint8Array(0x80000);
    const registers = new DataView(bytes.buffer);
    registers.setUint16(24, 256, true); // queue size
    registers.setUint16(30, 1, true); // the queue's notification
    board.devices.push({ at: barAt, bytes });
    equal(board.call("endOfMemory"), 512 * mib);
    const network = board.call("findDevice", 1);
    notEqual(network, 0);
    equal(board.call("findDevice", 4), 0, "there is no other");
    equal(space.getUint16(4, true) & 6, 6, "it may be read, and read memory");
    equal(space.getUint16(0x86, true) & 0xc000, 0x8000, "messages are on and not masked");
    equal(registers.getUint32(messagesAt, true), 0xfee00000);
    equal(registers.getUint32(messagesAt + 8, true), 0x40, "the vector that ends hlt");
    equal(board.call("beginDevice", network, 1 << 5), 1);
    const queue = board.call("queue", network, 0);
    equal(registers.getUint32(32, true), queue);
    equal(registers.getUint16(28, true), 1, "the queue is on");
    board.call("startDevice", network);
    equal(registers.getUint8(20), 15);
    registers.setUint32(notifyAt + 4, 0xffff, true);
    board.call("notify", network, 0);
    equal(registers.getUint16(notifyAt + 4, true), 0, "queue 0 was notified at its own place");
    notEqual(board.call("deviceConfig", network), 0);
  });
});
