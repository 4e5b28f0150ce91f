/**
 * An ELF that serves the network by itself: the program of pvh.ts, and its service (abi/service.ts), which stands in an ELF note as well, so
 * that tools can read it:
 *
 *     owner "Mayfly" │ type 1, of a Linux executable 2 │ the service's frame: name, version, image's hash, limits, ports, names of settings
 */
import { decodeService, encodeService, type Service } from "#abi";
import { err, fromUtf8, ok, type Result } from "#base";
import type { Note } from "#compiler";
import type { Image } from "./file.ts";
import { imageLimits } from "./limits.ts";
import { type PvhSettings, writePvh } from "./pvh.ts";

const noteSegment = 4; // PT_NOTE
const headerBytes = 64;
const programHeaderBytes = 56;
const owner = "Mayfly";
/** A hypervisor, or Linux as a process. */
export type ServiceTarget = "microvm" | "linux";
const noteTypes: readonly ServiceTarget[] = ["microvm", "linux"];

/** True for a service whose callers may show tokens of an issuer: its network has the code that judges them. */
export function takesTokens({ auth }: Service): boolean {
  return auth.flat().some(({ type }) => type === "jwt");
}

/** The note of a service's frame. */
export function serviceNote(frame: Uint8Array, target: ServiceTarget = "microvm"): Note {
  return { owner, type: noteTypes.indexOf(target) + 1, bytes: frame };
}

/** Writes the ELF of an image and its service: equal input, equal bytes. Throws MF_IMAGE_VERSION for an image of another kernel, MF_IMAGE_TOO_LARGE. */
export function writeMicrovm(image: Image, service: Service, settings: PvhSettings = {}): Uint8Array {
  const bytes = encodeService(service);
  return writePvh(image, { ...settings, service: bytes, tokens: takesTokens(service), notes: [serviceNote(bytes)] });
}

interface Found {
  readonly target: ServiceTarget;
  readonly frame: Uint8Array;
}

/** The note of a service, looked for in one PT_NOTE segment. */
function noteIn(segment: Uint8Array): Found | undefined {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  for (let at = 0; at + 12 <= segment.length; ) {
    const [nameBytes, bytes, type] = [view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true)];
    const from = at + 12 + Math.ceil(nameBytes / 4) * 4;
    if (from + bytes > segment.length) return undefined;
    const target = noteTypes[type - 1];
    if (target !== undefined && fromUtf8(segment.subarray(at + 12, at + 12 + nameBytes)) === `${owner}\0`)
      return { target, frame: segment.subarray(from, from + bytes) };
    at = from + Math.ceil(bytes / 4) * 4;
  }
  return undefined;
}

function findNote(elf: Uint8Array): Result<Found, string> {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.length);
  if (elf.length < headerBytes || view.getUint32(0) !== 0x7f454c46 || elf[4] !== 2) return err("it is not a 64-bit ELF");
  const [headersAt, count] = [Number(view.getBigUint64(32, true)), view.getUint16(56, true)];
  for (let index = 0; index < Math.min(count, imageLimits.elfSegments); index++) {
    const at = headersAt + index * programHeaderBytes;
    if (at + programHeaderBytes > elf.length) break;
    if (view.getUint32(at, true) !== noteSegment) continue;
    const [offset, bytes] = [Number(view.getBigUint64(at + 8, true)), Number(view.getBigUint64(at + 32, true))];
    const note = offset + bytes > elf.length ? undefined : noteIn(elf.subarray(offset, offset + bytes));
    if (note !== undefined) return ok(note);
  }
  return err("it has no service: build one with `mayfly build --target microvm`, or `--target linux --serve`");
}

/** The service that an ELF brings. Never throws; returns an error for another ELF, with a sentence. */
export function serviceOf(elf: Uint8Array): Result<Service, string> {
  const found = findNote(elf);
  return found.ok ? decodeService(found.value.frame) : found;
}

/** The target of an ELF that has a service; undefined for another. */
export function serviceTarget(elf: Uint8Array): ServiceTarget | undefined {
  const found = findNote(elf);
  return found.ok ? found.value.target : undefined;
}
