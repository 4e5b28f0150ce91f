/**
 * The same service as a Linux guest with Node: Debian's cloud kernel, busybox and this Node in an initial file system, on the same QEMU. Both
 * are fetched with apt-get once, and kept in the user's cache folder.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { say } from "./rows.ts";
import { transformSource } from "./start.ts";

export interface LinuxPeer {
  readonly kernel: string;
  readonly initrd: string;
}

/** Modules between the kernel and the network card, in the order in which they need each other. */
const modules = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_mmio", "net/core/failover", "net/net_failover", "net/virtio_net"];

const init = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
for name in ${modules.map((path) => path.split("/").at(-1)).join(" ")}; do /bin/busybox insmod /modules/$name.ko; done
/bin/busybox ip link set lo up
/bin/busybox ip link set eth0 up
/bin/busybox ip addr add 10.0.2.15/24 dev eth0
/bin/busybox ip route add default via 10.0.2.2
exec /node /server.cjs
`;

const server = `const transform = ${transformSource};
require("node:http").createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => {
    const body = transform(text);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
  });
}).listen(80);
`;

/** One file of a cpio archive in its "newc" form: numbers are eight hexadecimal digits, name and content end on four bytes (Linux, initramfs buffer format). */
function archived(name: string, mode: number, bytes: Uint8Array): Buffer {
  const field = (value: number): string => value.toString(16).padStart(8, "0");
  const nameBytes = Buffer.byteLength(name) + 1;
  const fields = [0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, nameBytes, 0].map(field).join("");
  const padded = (part: Buffer): Buffer => Buffer.concat([part, Buffer.alloc(-part.length & 3)]);
  return Buffer.concat([padded(Buffer.from(`070701${fields}${name}\0`, "latin1")), padded(Buffer.from(bytes))]);
}

/** Shared libraries of a program, and its loader. */
function librariesOf(program: string): readonly string[] {
  return [...execFileSync("ldd", [program], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}

function archive(root: string, version: string): Buffer {
  const [directory, file] = [0o040755, 0o100755];
  const folders = new Set(["dev", "proc", "bin", "modules"]);
  const files = new Map<string, Uint8Array>([
    ["init", Buffer.from(init)],
    ["server.cjs", Buffer.from(server)],
    ["bin/busybox", readFileSync(join(root, "bin/busybox"))],
    ["node", readFileSync(process.execPath)],
  ]);
  for (const path of modules) {
    const from = path.startsWith("net/core") ? path : `drivers/${path}`;
    files.set(`modules/${path.split("/").at(-1)}.ko`, readFileSync(join(root, "lib/modules", version, "kernel", `${from}.ko`)));
  }
  for (const path of librariesOf(process.execPath)) {
    const name = path.slice(1);
    files.set(name, readFileSync(realpathSync(path)));
    for (let parts = name.split("/").slice(0, -1); parts.length > 0; parts = parts.slice(0, -1)) folders.add(parts.join("/"));
  }
  return Buffer.concat([
    ...[...folders].sort().map((name) => archived(name, directory, new Uint8Array(0))),
    ...[...files].map(([name, bytes]) => archived(name, file, bytes)),
    archived("TRAILER!!!", 0, new Uint8Array(0)),
  ]);
}

/** Fetches and unpacks the packages; throws where that can't be done. */
function unpacked(folder: string): string {
  const root = join(folder, "root");
  if (existsSync(join(root, "bin/busybox"))) return root;
  say("fetching Debian's cloud kernel and busybox");
  mkdirSync(folder, { recursive: true });
  const run = (program: string, ...values: readonly string[]): string =>
    execFileSync(program, values, { cwd: folder, encoding: "utf8", timeout: 180_000, stdio: ["ignore", "pipe", "ignore"] });
  const kernel = /linux-image-\S+-cloud-amd64$/m.exec(run("apt-cache", "depends", "linux-image-cloud-amd64"))?.[0];
  if (kernel === undefined) throw new Error("apt-cache knows no cloud kernel");
  run("apt-get", "download", kernel, "busybox-static");
  for (const name of readdirSync(folder)) if (name.endsWith(".deb")) run("dpkg-deb", "-x", name, root);
  return root;
}

/** A sentence when it can't be had. */
export function linuxPeer(): LinuxPeer | string {
  try {
    const folder = join(homedir(), ".cache", "mayfly", "bench-linux");
    const root = unpacked(folder);
    const [version = ""] = readdirSync(join(root, "lib/modules"));
    const initrd = join(folder, "initrd");
    writeFileSync(initrd, archive(root, version));
    return { kernel: join(root, "boot", `vmlinuz-${version}`), initrd };
  } catch (error) {
    return `Debian's cloud kernel, busybox or Node's libraries can't be had: ${(error as Error).message.split("\n")[0]}`;
  }
}
