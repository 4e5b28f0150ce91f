/** Ports of the host that lead into a microVM. */
import { createServer } from "node:net";
import { isIPv4 } from "node:net";
import type { Service } from "#abi";
import { CodedError } from "#base";
import { standaloneLimits } from "../limits.ts";
import type { PortPair } from "./folder.ts";

const loopback = "127.0.0.1";

function portOf(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536 ? Number(text) : undefined;
}

/** Reads `8080:80`, `127.0.0.1:8080:80` or `8080`. Throws MF_MICROVM_PORT. */
export function parsePort(text: string): PortPair {
  const parts = text.split(":");
  const address = parts.length === 3 ? (parts.shift() ?? "") : loopback;
  const host = portOf(parts[0] ?? "");
  const guest = portOf(parts.at(-1) ?? "");
  if (parts.length > 2 || host === undefined || guest === undefined || !isIPv4(address))
    throw new CodedError(
      "MF_MICROVM_PORT",
      `${JSON.stringify(text.slice(0, 64))} is not a port: write HOST:GUEST as in 8080:80, or ADDRESS:HOST:GUEST as in 0.0.0.0:8080:80`,
    );
  return { address, host, guest };
}

/** The service's port on the same port of this computer, when no other is given. Throws MF_MICROVM_PORT. */
export function portsOf(texts: readonly string[], { name, port, healthPort }: Service): readonly PortPair[] {
  const own = healthPort === 0 ? [port] : [port, healthPort];
  if (texts.length > standaloneLimits.ports)
    throw new CodedError("MF_MICROVM_PORT", `a microVM can have ${standaloneLimits.ports} ports of this computer at most: leave out some`);
  const pairs = texts.length === 0 ? [{ address: loopback, host: port, guest: port }] : texts.map(parsePort);
  for (const { host, guest } of pairs)
    if (!own.includes(guest))
      throw new CodedError("MF_MICROVM_PORT", `${name} listens on ${own.join(" and ")}, and not on ${guest}: -p ${host}:${port}`);
  return pairs;
}

/** Throws MF_PORT_IN_USE for a port that somebody has, MF_MICROVM_PORT for one that this user can't have. */
export async function checkFree({ address, host }: PortPair): Promise<void> {
  const server = createServer();
  await new Promise<void>((done, failed) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const where = `${address}:${host}`;
      failed(
        cause.code === "EADDRINUSE"
          ? new CodedError("MF_PORT_IN_USE", `${where} is in use: stop the program that listens there, or choose another port with -p`, {
              cause,
            })
          : new CodedError(
              "MF_MICROVM_PORT",
              `this user can't listen on ${where} (${cause.code ?? cause.message}): choose another with -p`,
              { cause },
            ),
      );
    });
    server.listen(host, address, () => server.close(() => done()));
  });
}
