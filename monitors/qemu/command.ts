/**
 * How QEMU is run: with nothing it does not need. No firmware tables, no disk, no network, no display, no monitor, no file but the ELF;
 * as nobody when Mayfly is root, with system calls filtered, and dying with its parent where `setpriv` is there to see to it.
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CodedError } from "#base";

export type Accelerator = "kvm" | "tcg";

export interface Qemu {
  readonly path: string;
  readonly accelerator: Accelerator;
  /** True if its seccomp filter can be used. */
  readonly sandbox: boolean;
}

export interface GuestOptions {
  readonly elf: string;
  readonly memoryBytes: number;
  /** The guest's command line. */
  readonly append?: string;
  /** True if there is a channel: a socket on descriptor 3. */
  readonly channel: boolean;
  /** Gives it an entropy device, against which it checks the seeds of messages. */
  readonly entropy?: boolean;
}

/** User and group of nobody, as every Linux distribution numbers them. */
const nobody = 65_534;
/** A port nobody listens to but QEMU: the end of the guest. */
const debugExitPort = "0xf4";

export function findProgram(name: string, path = process.env["PATH"] ?? ""): string | undefined {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (folder !== "" && statSync(file).isFile()) return file;
    } catch {
      // not here
    }
  }
  return undefined;
}

/** Throws MF_QEMU_MISSING. */
export function findQemu(): string {
  const path = findProgram("qemu-system-x86_64");
  if (path === undefined)
    throw new CodedError(
      "MF_QEMU_MISSING",
      "qemu-system-x86_64 is not on the PATH: install it (Debian, Ubuntu: `apt-get install qemu-system-x86`), or use another monitor",
    );
  return path;
}

function machineArguments(qemu: Qemu, guest: GuestOptions): string[] {
  const machine = "microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,usb=off,graphics=off";
  return [
    ...["-M", machine],
    ...["-accel", qemu.accelerator === "kvm" ? "kvm" : "tcg,tb-size=64"],
    ...["-cpu", qemu.accelerator === "kvm" ? "host" : "max"],
    ...["-m", `${Math.ceil(guest.memoryBytes / 1024 ** 2)}M`],
    ...["-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-global", "virtio-mmio.force-legacy=false"],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-device", `isa-debug-exit,iobase=${debugExitPort},iosize=4`],
  ];
}

/** Program and arguments. Descriptors: 1 the guest's serial console, 2 QEMU's own complaints, 3 the channel. */
export function qemuCommand(qemu: Qemu, guest: GuestOptions): { readonly program: string; readonly arguments: string[] } {
  const values = machineArguments(qemu, guest);
  if (guest.channel)
    values.push(
      ...[
        "-chardev",
        "socket,id=channel,fd=3",
        "-device",
        "virtio-serial-device,max_ports=2",
        "-device",
        "virtserialport,chardev=channel,nr=1,name=mayfly",
      ],
    );
  if (guest.entropy === true) values.push("-device", "virtio-rng-device");
  if (qemu.sandbox) values.push("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  values.push("-kernel", guest.elf);
  if (guest.append !== undefined && guest.append !== "") values.push("-append", guest.append);
  const setpriv = findProgram("setpriv");
  const root = process.getuid?.() === 0;
  if (setpriv === undefined) return { program: qemu.path, arguments: root ? [...values, "-runas", `${nobody}:${nobody}`] : values };
  const drop = root
    ? ["--reuid", `${nobody}`, "--regid", `${nobody}`, ...groups(qemu), "--bounding-set", "-all", "--inh-caps", "-all"]
    : [];
  return { program: setpriv, arguments: [...drop, "--no-new-privs", "--pdeathsig", "KILL", "--", qemu.path, ...values] };
}

/** Only the group that may open /dev/kvm, when that is needed. */
function groups(qemu: Qemu): string[] {
  if (qemu.accelerator !== "kvm") return ["--clear-groups"];
  return ["--groups", String(statSync("/dev/kvm").gid)];
}
