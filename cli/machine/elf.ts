/** The service in an ELF that serves by itself, as `mayfly inspect` shows it. */
import { open, readFile, stat } from "node:fs/promises";
import type { Service, ServiceFlow } from "#abi";
import { CodedError } from "#base";
import { serviceOf, serviceTarget, type ServiceTarget } from "#image";
import { settingsOf, standaloneLimits } from "#standalone";
import { exitCodes } from "../failure.ts";
import { bytesText, indent, msText, table } from "../format.ts";
import type { Terminal } from "../terminal.ts";

/** By its first bytes; false as well for a file that can't be read. */
export async function isElf(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "\x7fELF";
  } catch {
    return false; // a folder
  } finally {
    await file.close();
  }
}

interface ServiceFile {
  readonly service: Service;
  readonly target: ServiceTarget;
  /** Length of the ELF. */
  readonly bytes: number;
}

/** The service in an ELF. Throws MF_FILE_UNREADABLE, MF_MICROVM_ELF. */
export async function serviceAt(path: string): Promise<ServiceFile> {
  let elf: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > standaloneLimits.elfBytes) throw new Error(`it is longer than ${standaloneLimits.elfBytes} bytes`);
    elf = await readFile(path);
  } catch (cause) {
    throw new CodedError("MF_FILE_UNREADABLE", `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
  const found = serviceOf(elf);
  if (!found.ok) throw new CodedError("MF_MICROVM_ELF", `${path} is no microVM and no service: ${found.error}`);
  return { service: found.value, target: serviceTarget(elf) ?? "microvm", bytes: elf.length };
}

function authText({ auth }: Service, group: number | undefined): string {
  if (group === undefined) return "anyone";
  return [...new Set(auth[group]?.map(({ type }) => type))].join(" or ");
}

function showFlow(
  { out, paint }: Terminal,
  service: Service,
  { name, limits, concurrency, queue, routes, outlets, lines, schedules, values }: ServiceFlow,
): void {
  out(`${paint.bold(name)}\n`);
  const { memoryBytes, cpuMs, timeMs, sends, logBytes } = limits;
  const facts = [
    [
      "limits",
      `memory ${bytesText(memoryBytes)}, cpu ${cpuMs} ms a step, time ${msText(timeMs)}, ${sends} sends, log ${bytesText(logBytes)}`,
    ],
    ["at once", `${concurrency} machines, ${queue} messages`],
    ["values", Object.keys(values).length === 0 ? "none" : Object.keys(values).join(", ")],
  ];
  out(indent(table(facts)));
  const served = routes.map(({ methods, path: at, bodyLimit, auth }) => [
    methods.join(" "),
    at,
    bytesText(bodyLimit),
    authText(service, auth),
  ]);
  if (served.length > 0) out(`${indent("routes")}\n${indent(indent(table(served)))}`);
  const runs = schedules.map(({ name: source, when, atStart }) => [
    source,
    "everyMs" in when ? `every ${msText(when.everyMs)}` : "by the date, in UTC",
    atStart ? "also at the start" : "",
  ]);
  if (runs.length > 0) out(`${indent("cron")}\n${indent(indent(table(runs)))}`);
  const asked = outlets.map(({ name: outlet, method, host, port: to, path: at, timeoutMs, attempts }) => [
    outlet,
    method,
    to === 0 ? host : `http://${host}:${to}${at}`,
    msText(timeoutMs),
    `${attempts} attempts`,
  ]);
  const written = lines.map(({ name: outlet, level }) => [outlet, "log", level]);
  if (asked.length + written.length > 0) out(`${indent("outlets")}\n${indent(indent(table([...asked, ...written])))}`);
}

function show(terminal: Terminal, path: string, { service, target, bytes }: ServiceFile): void {
  const { out, paint } = terminal;
  const { name, version, port, healthPort, drainMs } = service;
  const settings = [...settingsOf(service)].map(([setting, { optional }]) => `${setting}${optional ? " (optional)" : ""}`);
  out(`${paint.bold(name)} ${version}  ${paint.dim(path)}\n`);
  const facts = [
    ["image", service.imageSha256],
    ["file", `${bytesText(bytes)}, ${target === "linux" ? "a Linux executable" : "a microVM"}`],
    ["port", healthPort === 0 ? `${port}, with /healthz and /metrics` : `${port}; /healthz and /metrics on ${healthPort}`],
    ["settings", settings.length === 0 ? "none" : settings.join(", ")],
    ["drain", msText(drainMs)],
  ];
  out(indent(table(facts)));
  for (const flow of service.flows) showFlow(terminal, service, flow);
}

export async function inspectElf(terminal: Terminal, path: string, json: boolean): Promise<number> {
  const file = await serviceAt(path);
  const { service, target, bytes } = file;
  if (json)
    terminal.out(`${JSON.stringify({ elf: path, target, bytes, service, settings: [...settingsOf(service).keys()] }, undefined, 2)}\n`);
  else show(terminal, path, file);
  return exitCodes.ok;
}
