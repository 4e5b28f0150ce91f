/**
 * How QEMU runs a service: a microvm with a network card, an entropy device, a clock and a power button, and no disk, display or firmware
 * tables of a PC. As nobody when the user is root, with system calls filtered; what it may write to its files is bounded.
 */
import { findProgram, type Qemu } from "#monitors";
import { standaloneLimits } from "../limits.ts";
import type { PortPair } from "./folder.ts";

export interface GuestCommand {
  readonly elf: string;
  readonly config: string;
  /** Console, QEMU's monitor. */
  readonly console: string;
  readonly monitor: string;
  readonly memoryBytes: number;
  readonly ports: readonly PortPair[];
  readonly tap: string | undefined;
  readonly mac: string;
  /** True: its console goes to standard output as well, and it ends with this process. */
  readonly foreground: boolean;
}

/** A comma ends a value for QEMU; two are one. */
const escaped = (text: string): string => text.replace(/,/g, ",,");

function network({ ports, tap, mac }: GuestCommand): string[] {
  const forwards = ports.map(({ address, host, guest }) => `,hostfwd=tcp:${address}:${host}-:${guest}`).join("");
  const backend = tap === undefined ? `user,id=net,ipv6=off${forwards}` : `tap,id=net,ifname=${escaped(tap)},script=no,downscript=no`;
  return ["-netdev", backend, "-device", `virtio-net-device,netdev=net,mac=${mac}`];
}

function qemuArguments({ accelerator, sandbox }: Qemu, guest: GuestCommand, root: boolean): string[] {
  const log = escaped(guest.console);
  const console = guest.foreground
    ? `stdio,id=console,mux=on,signal=off,logfile=${log},logappend=on`
    : `file,id=console,mux=on,path=${log},append=on`;
  return [
    ...["-M", "microvm,acpi=on,x-option-roms=off,pit=off,pic=off,rtc=on,usb=off,graphics=off"],
    ...["-accel", accelerator === "kvm" ? "kvm" : "tcg,tb-size=64"],
    ...["-cpu", accelerator === "kvm" ? "host" : "max"],
    ...["-m", `${Math.ceil(guest.memoryBytes / 2 ** 20)}M`],
    ...["-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-rtc", "base=utc"],
    ...["-global", "virtio-mmio.force-legacy=false"],
    ...["-chardev", console, "-serial", "chardev:console"],
    // The log comes in whole buffers; what the drivers say, byte by byte.
    ...["-device", "virtio-serial-device,max_ports=1", "-device", "virtconsole,chardev=console"],
    ...["-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
    ...network(guest),
    ...["-device", "virtio-rng-device"],
    ...["-qmp", `unix:${escaped(guest.monitor)},server=on,wait=off`],
    ...["-kernel", guest.elf, "-initrd", guest.config],
    // Files are opened and ports taken before it becomes nobody, and is nobody for good: of privileges only those to become so are left.
    ...(root ? ["-runas", "65534:65534"] : []),
    ...(sandbox ? ["-sandbox", `on,obsolete=deny,elevateprivileges=${root ? "allow" : "deny"},spawn=deny,resourcecontrol=deny`] : []),
  ];
}

export interface HostCommand {
  readonly program: string;
  readonly arguments: readonly string[];
}

/** A full file must not end it: the signal of that is ignored, and so the write alone fails. */
const ignoreFull = 'trap "" XFSZ; exec "$@"';

export function machineCommand(qemu: Qemu, guest: GuestCommand): HostCommand {
  const prlimit = findProgram("prlimit");
  const setpriv = findProgram("setpriv");
  const root = process.getuid?.() === 0;
  const values = [
    ...(prlimit === undefined ? [] : [prlimit, `--fsize=${standaloneLimits.consoleBytes}`]),
    ...(setpriv === undefined ? [] : [setpriv, "--no-new-privs", ...(guest.foreground ? ["--pdeathsig", "KILL"] : []), "--"]),
    qemu.path,
    ...qemuArguments(qemu, guest, root),
  ];
  return { program: "/bin/sh", arguments: ["-c", ignoreFull, "mayfly", ...values] };
}
