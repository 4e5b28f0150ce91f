/**
 * The drivers of an image that serves by itself, in real virtual machines: every kind of machine and bus, jobs for machines that wait or
 * misbehave, and a network's module that was taken over (kernel/drivers/testing/net.ts does whatever a frame says).
 */
import { deepEqual, equal, match, notDeepEqual, ok } from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { decodeEffects, type Effect, encodeEvent, type Event } from "#abi";
import { fromUtf8 } from "#base";
import { type Image, metalProgram, writePvh } from "#image";
import { buildCaseImages, deliver, type FlowName, resolve } from "../monitor.case.ts";
import { guestCode, guestExit } from "./exit-codes.ts";
import { buildTestDrivers, qemuMissing } from "./testing/guests.ts";
import { buildTestNet, debugExit, EtherGuest, type JobEnd, type MachineOptions, microvm } from "./testing/standalone.ts";

const missing = qemuMissing();
const skip = missing === undefined ? {} : { skip: missing };
const complete = 17;
const interrupted = 18;
const escaped = 19;
const noMemory = 20;
const lied = 21;
const service = "a service's frame";

let images: ReadonlyMap<FlowName, Image>;
let net: Uint8Array;
let checking: Uint8Array;
before(async () => {
  if (missing !== undefined) return;
  images = await buildCaseImages();
  net = await buildTestNet();
  checking = await buildTestDrivers("standalone.ts");
});

function elfOf(flow: FlowName, platform?: Uint8Array): Uint8Array {
  const program = metalProgram({ net, ...(platform === undefined ? {} : { platform }) });
  return writePvh(images.get(flow) as Image, { program, service: Buffer.from(service) });
}

/** Runs `use` on a guest that is up, and ends it. */
async function withGuest(
  flow: FlowName,
  options: MachineOptions,
  use: (guest: EtherGuest) => Promise<void>,
  platform?: Uint8Array,
): Promise<void> {
  const guest = await EtherGuest.boot(elfOf(flow, platform), options);
  try {
    await guest.hear("up");
    await use(guest);
  } finally {
    await guest.close();
  }
}

function effectsOf(end: JobEnd): readonly Effect[] {
  const decoded = decodeEffects(end.effects);
  ok(decoded.ok, `kind ${end.kind}: no effects`);
  return decoded.value;
}
function reply(end: JobEnd): string {
  const last = effectsOf(end).at(-1);
  ok(last?.kind === "done", `${end.kind} ${JSON.stringify(last)}`);
  return fromUtf8(last.reply?.body ?? new Uint8Array(0));
}
const start = (guest: EtherGuest, slot: number, event: Event, more = {}): Promise<JobEnd> => guest.job(1, slot, encodeEvent(event), more);
const step = (guest: EtherGuest, slot: number, event: Event): Promise<JobEnd> => guest.job(2, slot, encodeEvent(event));

/** After each of `count` jobs, and none more, memory was the image. */
async function pristine(guest: EtherGuest, count: number): Promise<void> {
  deepEqual(
    await guest.read(/\d+ pages differ/g, count),
    Array.from({ length: count }, () => "0 pages differ"),
  );
}

const acpi: readonly string[] = ["-M", "microvm,acpi=on", "-global", "virtio-mmio.force-legacy=false"];
const machines: Readonly<Record<string, MachineOptions>> = {
  "microvm without ACPI": {},
  "microvm with ACPI, which names no device on the command line": { machine: acpi },
  "pc, by PCI, with its start info in page 0": { machine: ["-M", "pc"], bus: "pci" },
  "q35, by PCI": { machine: ["-M", "q35"], bus: "pci" },
  "five megabytes": { memory: "5M" },
  "more memory than is used": { machine: ["-M", "q35"], bus: "pci", memory: "1536M" },
};

describe("machines that serve by themselves", skip, () => {
  for (const [name, options] of Object.entries(machines))
    test(`${name}: network, clock, randomness, service and settings, a message, the end`, async () => {
      await withGuest("echo", { ...options, config: '{"settings":{}}' }, async (guest) => {
        const beginMs = Date.now();
        const [first, second] = [await guest.ask("tell"), await guest.ask("tell")];
        ok(first.first >= 4, "memory in units");
        ok(second.bytes.readBigUInt64LE(0) >= first.bytes.readBigUInt64LE(0), "time does not go back");
        ok(Math.abs(first.bytes.readDoubleLE(8) - beginMs) < 60_000, `it is ${new Date(first.bytes.readDoubleLE(8)).toISOString()}`);
        notDeepEqual(first.bytes.subarray(16, 48), second.bytes.subarray(16, 48));
        const [brought, settings] = [await guest.ask("conf", 0), await guest.ask("conf", 1)];
        equal(brought.bytes.toString("utf8", 0, brought.second), service);
        equal(settings.bytes.toString("utf8", 0, settings.second), '{"settings":{}}');
        equal(reply(await start(guest, 0, deliver({ body: "hello" }))), "hello");
        guest.send("off", 0);
        const { status, signal } = await guest.ended;
        ok(signal === null && (status === 0 || guestCode(status) === guestExit.clean), `status ${status}; ${guest.console}`);
      });
    });

  test("registers above 4 GiB are reached", async () => {
    await withGuest("echo", { machine: ["-M", "q35"], bus: "pci", memory: "4G" }, async (guest) => {
      equal(reply(await start(guest, 0, deliver({ body: "far" }))), "far");
    });
  });
});

describe("machines that can't serve say why", skip, () => {
  const cases: readonly (readonly [string, MachineOptions, RegExp, number])[] = [
    [
      "no randomness",
      { entropy: false },
      /no randomness: give the machine a virtio-rng device, or a processor with RDSEED/,
      guestExit.noDevice,
    ],
    ["no network", { network: false }, /no virtio network device: start QEMU with -netdev/, guestExit.noDevice],
    [
      "devices of before virtio 1.0",
      { machine: ["-M", "microvm,acpi=off,rtc=on", ...debugExit] },
      /before version 1\.0: start QEMU with -global virtio-mmio\.force-legacy=false/,
      guestExit.noDevice,
    ],
    [
      "no clock",
      { machine: ["-M", "microvm,acpi=off,rtc=off", "-global", "virtio-mmio.force-legacy=false", ...debugExit] },
      /no clock: give the machine KVM's, or an RTC/,
      guestExit.noDevice,
    ],
    [
      "two megabytes, where not even the program fits",
      { memory: "2M" },
      /too little memory: it needs 5 MiB: give it more with -m/,
      guestExit.noMemory,
    ],
    ["four megabytes", { memory: "4M" }, /too little memory: it needs 5 MiB: give it more with -m/, guestExit.noMemory],
    ["settings that are refused", { config: "BAD!" }, /^$/, guestExit.service],
    [
      "settings that are too long, beyond the memory that is mapped",
      { machine: ["-M", "q35", ...debugExit], bus: "pci", memory: "1536M", config: "x".repeat(3 * 2 ** 20) },
      /the settings are too long/,
      guestExit.noDevice,
    ],
    ["settings that are too long", { config: "x".repeat(70_000) }, /the settings are too long/, guestExit.noDevice],
  ];
  for (const [name, options, text, code] of cases)
    test(name, async () => {
      const guest = await EtherGuest.boot(elfOf("echo"), options);
      const { status } = await guest.ended;
      equal(guestCode(status), code, guest.console);
      match(guest.console, text);
    });
});

describe("jobs", skip, () => {
  test("a machine waits, others run, it goes on; its slot is empty afterwards", async () => {
    await withGuest("enrich", {}, async (guest) => {
      equal((await start(guest, 7, deliver())).kind, complete);
      for (const slot of [1, 2, 3]) equal((await start(guest, slot, deliver())).kind, complete);
      const end = await step(guest, 7, resolve(0, '{"name":"Ada"}'));
      equal(reply(end), '{"answer":{"name":"Ada"}}');
      equal((await step(guest, 7, resolve(0, "{}"))).kind, lied);
      guest.send("job", 4, 2, 0, 0, 0, 0);
      await guest.ask("tell"); // the module keeps one job
      equal((await step(guest, 2, resolve(0, "{}"))).kind, lied);
      equal(reply(await step(guest, 3, resolve(0, '{"name":"Bob"}'))), '{"answer":{"name":"Bob"}}');
    });
  });

  test("a step ends when its CPU time is over", async () => {
    await withGuest("loop", {}, async (guest) => {
      const end = await start(guest, 0, deliver({ body: "spin" }), { cpuMs: 20 });
      equal(end.kind, interrupted);
      equal(reply(await start(guest, 0, deliver({ body: "" }))), "fine");
    });
  });

  test("a call that polls for nothing ends as well, and its time is bounded", async () => {
    await withGuest(
      "nativeCall",
      {},
      async (guest) => {
        equal((await start(guest, 0, deliver(), { cpuMs: 10 })).kind, interrupted);
        equal((await start(guest, 0, deliver(), { cpuMs: 10 })).kind, interrupted);
        await pristine(guest, 2);
      },
      checking,
    );
  });

  test("a trap of the engine's ends that machine alone", async () => {
    await withGuest(
      "loop",
      { options: ["-append", "trap"] },
      async (guest) => {
        equal((await start(guest, 0, deliver({ body: "spin" }))).kind, escaped);
        equal(reply(await start(guest, 0, deliver({ body: "" }))), "fine");
        await pristine(guest, 2);
      },
      checking,
    );
  });

  test("memory bounds a machine, however little there is, and others go on", async () => {
    for (const memory of ["6M", "16M", "64M"])
      await withGuest("bomb", { memory }, async (guest) => {
        for (let round = 0; round < 3; round++) {
          const end = await start(guest, 0, deliver(), { units: 4096, cpuMs: 5000 });
          ok([complete, escaped, noMemory].includes(end.kind), `${memory}: kind ${end.kind}`);
        }
        ok((await guest.ask("tell")).first > 0, "it lives");
      });
  });

  test("more machines wait than memory holds: new ones are refused, and those that wait go on", async () => {
    await withGuest("enrich", { memory: "8M" }, async (guest) => {
      let slot = 0;
      for (; slot < 200; slot++) if ((await start(guest, slot, deliver())).kind === noMemory) break;
      ok(slot > 2 && slot < 200, `${slot} wait`);
      for (let waits = 0; waits < slot; waits++)
        equal(reply(await step(guest, waits, resolve(0, `{"n":${waits}}`))), `{"answer":{"n":${waits}}}`);
      equal((await start(guest, 0, deliver())).kind, complete);
    });
  });

  for (const flow of ["counter", "pollution", "grow", "bomb", "recursion", "throws", "manySends", "random", "enrich"] as const)
    test(`memory is the image again after ${flow}`, async () => {
      await withGuest(
        flow,
        {},
        async (guest) => {
          const ends = [await start(guest, 0, deliver({ body: "x" })), await start(guest, 1, deliver({ body: "x" }))];
          if (flow === "counter") for (const end of ends) equal(reply(end), '{"count":1,"left":1}');
          await pristine(guest, 2);
        },
        checking,
      );
    });
});

describe("a network's module that was taken over", skip, () => {
  /** Attempts; each ends in a trap in its own window, or in distrust. */
  const attempts: readonly (readonly [string, (guest: EtherGuest, end: number) => void])[] = [
    ["writes behind its memory", (guest, end) => guest.send("stor", end)],
    ["writes at the end of its window", (guest) => guest.send("stor", 0xffff_ffff)],
    ["reads behind its memory", (guest, end) => guest.send("load", end)],
    ["prints what is not its own", (guest, end) => guest.send("prin", end - 4, 8)],
    ["has random bytes written behind its memory", (guest, end) => guest.send("rand", end - 8, 64)],
    ["has random bytes written over the end of its addresses", (guest) => guest.send("rand", 0xffff_fff0, 64)],
    ["sends what is not its own", (guest, end) => guest.send("send", end - 4, 64)],
    ["sends more than a frame", (guest) => guest.send("send", 4096, 1515)],
    ["names an event that is not its own", (guest, end) => guest.send("job", 1, 0, end - 4, 64, 16, 100)],
    ["names an event that is longer than anything", (guest) => guest.send("job", 1, 0, 4096, 0xffff_ffff, 16, 100)],
    ["names a slot that does not exist", (guest) => guest.send("job", 1, 70_000, 4096, 64, 16, 100)],
    ["names a job that does not exist", (guest) => guest.send("job", 3, 1, 4096, 64, 16, 100)],
  ];
  for (const [name, attempt] of attempts)
    test(name, async () => {
      await withGuest("echo", { memory: "8M" }, async (guest) => {
        attempt(guest, (await guest.ask("tell")).first * 65_536);
        const code = guestCode((await guest.ended).status);
        if (code !== guestExit.service) {
          equal(code, guestExit.trap + 1, guest.console);
          match(guest.console, /page fault \(14\) in net\.\S+.*memory access out of bounds/);
        } else match(guest.console, /not its own; it may have been taken over/);
      });
    });

  test("writes wherever it can: it is its own memory, and neither the page tables nor the engine", async () => {
    await withGuest(
      "counter",
      { memory: "8M" },
      async (guest) => {
        const units = (await guest.ask("tell")).first;
        // Addresses at which physical memory has page tables, header, drivers, text and frozen pages are its own here.
        for (const at of [0x2_0000, 0x10_0000, 0x13_f000, 0x14_0000, 0x20_0000, 0x30_0000]) {
          if (at >= units * 65_536) continue;
          await guest.ask("stor", at);
          equal((await guest.ask("load", at)).second, 0x5a);
        }
        for (let round = 0; round < 3; round++) equal(reply(await start(guest, 0, deliver())), '{"count":1,"left":1}');
        await pristine(guest, 3);
      },
      checking,
    );
  });

  test("events of its making reach nobody: what is no event ends that machine alone", async () => {
    await withGuest("echo", {}, async (guest) => {
      for (const bytes of [new Uint8Array(0), new Uint8Array(40), new Uint8Array(1000).fill(255)]) {
        const end = await guest.job(1, 0, bytes);
        ok(end.kind >= complete && end.kind <= lied);
      }
      equal(reply(await start(guest, 0, deliver({ body: "well" }))), "well");
    });
  });
});

/** Presses the power button by QEMU's monitor. */
function pressButton(path: string): Promise<void> {
  return new Promise((done, failed) => {
    const socket = connect(path, () => socket.write('{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n'));
    let text = "";
    socket.on("error", failed).on("data", (bytes) => {
      text += bytes.toString();
      if ((text.match(/"return"/g) ?? []).length === 2) socket.end(() => done());
    });
  });
}

describe("the console's device", skip, () => {
  const port = ["-device", "virtio-serial-device,max_ports=2", "-device", "virtserialport,chardev=log,nr=1"];
  const ring = 16 * 2048;
  /** Prints `bytes` zeroes, each of which a terminal gets as `?`, and waits until the module goes on. */
  async function print(guest: EtherGuest, bytes: number): Promise<void> {
    for (let left = bytes; left > 0; left -= 50_000) guest.send("prin", 65_536, Math.min(left, 50_000));
    await guest.ask("tell");
  }

  test("takes the log whole, and the serial port has none of it", async () => {
    const path = join(tmpdir(), `mayfly-log-${process.pid}`);
    const console = ["-device", "virtio-serial-device,max_ports=1", "-device", "virtconsole,chardev=log"];
    try {
      await withGuest("echo", { options: ["-chardev", `file,id=log,path=${path}`, ...console] }, async (guest) => {
        await print(guest, 3 * ring + 7);
        guest.send("off", 0);
        equal(guestCode((await guest.ended).status), guestExit.clean);
        equal(readFileSync(path, "latin1"), "?".repeat(3 * ring + 7));
        equal(guest.console, "");
      });
    } finally {
      rmSync(path, { force: true });
    }
  });

  test("that nobody reads holds nothing up: what is lost is said, once there is room", async () => {
    const path = join(tmpdir(), `mayfly-log-${process.pid}.sock`);
    await withGuest("echo", { options: ["-chardev", `socket,id=log,path=${path},server=on,wait=off`, ...port] }, async (guest) => {
      const reader = connect(path);
      await once(reader, "connect");
      let printed = 2_000_000;
      await print(guest, printed);
      let text = "";
      reader.setEncoding("latin1").on("data", (part: string) => {
        text += part;
      });
      // Each round trip lets the ring empty a little; the first print that finds room says what was lost.
      const lost = (): number =>
        [...text.matchAll(/: (\d+) bytes of the log are lost\n/g)].reduce((sum, found) => sum + Number(found[1]), 0);
      const whole = (): boolean => lost() > 0 && text.replace(/[^?]/g, "").length + lost() === printed;
      for (let tries = 0; tries < 2000 && !whole(); tries++) {
        if (lost() === 0) printed++;
        await print(guest, lost() === 0 ? 1 : 0);
      }
      ok(whole(), `${printed} bytes were printed, ${text.length} came, ${lost()} are said to be lost`);
      reader.destroy();
    });
  });
});

describe("the end on request", skip, () => {
  const buttons: Readonly<Record<string, MachineOptions>> = {
    microvm: { machine: acpi },
    pc: { machine: ["-M", "pc"], bus: "pci" },
    q35: { machine: ["-M", "q35"], bus: "pci" },
  };
  for (const [name, options] of Object.entries(buttons))
    test(`${name}: the power button is the module's to answer, then the machine is off`, async () => {
      const path = join(tmpdir(), `mayfly-qmp-${process.pid}-${name}`);
      await withGuest("echo", { ...options, options: ["-qmp", `unix:${path},server=on,wait=off`] }, async (guest) => {
        await pressButton(path);
        await guest.hear("butt");
        equal((await guest.ended).status, 0);
      });
    });

  test("Ctrl-C on the serial console is a button too", async () => {
    await withGuest("echo", { machine: [...microvm, ...debugExit] }, async (guest) => {
      guest.type("x\x03");
      await guest.hear("butt");
      equal(guestCode((await guest.ended).status), guestExit.clean);
    });
  });
});
