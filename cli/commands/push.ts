/** `mayfly push` and `mayfly pull`: images of flows, to and from a registry. */
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import type { Command } from "commander";
import { CodedError } from "#base";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { bytesText } from "../format.ts";
import { withProgress } from "../terminal.ts";

interface PushFlags {
  readonly sign?: string;
  readonly json?: boolean;
}

interface PullFlags {
  readonly output?: string;
  readonly config: string;
  readonly trust?: readonly string[];
  readonly json?: boolean;
}

/** One artefact in the output of `--json`. */
interface PushReport {
  readonly flow: string;
  /** With its digest: what `image: oci://…` can name. */
  readonly reference: string;
  readonly digest: string;
  /** Bytes that the registry did not have. */
  readonly sentBytes: number;
  readonly signed: boolean;
}

async function push({ terminal }: Cli, source: string, name: string, { sign: keyFile, json }: PushFlags): Promise<number> {
  const [{ parseReference, referenceText, Registry, sign, signingKey }, { artefactsOf }, { registryCredentials }] = await Promise.all([
    import("#image"),
    import("../images/artefacts.ts"),
    import("../images/registry-credentials.ts"),
  ]);
  const { env } = terminal;
  const reference = parseReference(name);
  if (reference.digest !== undefined) throw usageError("push to a tag: the digest follows from what is pushed");
  const key = keyFile === undefined ? undefined : signingKey(keyFile, await keyText(keyFile), env["MAYFLY_KEY_PASSPHRASE"]);
  const { isLayout, artefacts } = await artefactsOf(source);
  const reports: PushReport[] = [];
  for (const artefact of artefacts) {
    const target = isLayout ? { ...reference, repository: `${reference.repository}/${artefact.flow.toLowerCase()}` } : reference;
    const registry = new Registry(parseReference(referenceText(target)), { credentials: (host) => registryCredentials(host, env) });
    const sentBytes = await withProgress(terminal, `pushing ${artefact.flow}`, async () => {
      const sent = await registry.push(artefact, target.tag);
      if (key !== undefined) await sign(registry, target, artefact.manifest.digest, key);
      return sent;
    });
    const { digest } = artefact.manifest;
    reports.push({ flow: artefact.flow, reference: referenceText({ ...target, digest }), digest, sentBytes, signed: key !== undefined });
  }
  if (json === true) terminal.out(`${JSON.stringify({ pushed: reports }, undefined, 2)}\n`);
  else
    for (const { flow, reference: text, sentBytes, signed } of reports)
      terminal.out(
        `${terminal.paint.bold(flow)}  ${sentBytes === 0 ? "was there" : bytesText(sentBytes)}${signed ? ", signed" : ""}\nimage: oci://${text}\n`,
      );
  return exitCodes.ok;
}

async function keyText(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new CodedError("MF_IMAGE_KEY", `the key ${path} can't be read (${cause.code ?? cause.message})`, { cause });
  });
}

async function pull({ terminal }: Cli, name: string, { output, config, trust, json }: PullFlags): Promise<number> {
  const [{ pullImage, trustedKeys }, { storeFolder, writeWhole }, { configuredTrust }] = await Promise.all([
    import("../images/pulled.ts"),
    import("../images/store.ts"),
    import("../images/artefacts.ts"),
  ]);
  const { env } = terminal;
  const keys = await trustedKeys(trust?.map((file) => resolve(file)) ?? (await configuredTrust(config, env)));
  const folder = storeFolder(dirname(resolve(config)));
  const reference = name.replace(/^oci:\/\//, "");
  const pulled = await withProgress(terminal, `pulling ${reference}`, () => pullImage(reference, { folder, trust: keys, env }));
  const { image, digest, signedBy } = pulled;
  if (output !== undefined)
    await writeWhole(output, image.bytes).catch((cause: Error) => {
      throw new CodedError("MF_FILE_UNWRITABLE", `the image can't be written to ${output}: ${cause.message}`, { cause });
    });
  else if (pulled.file === undefined)
    throw new CodedError("MF_FILE_UNWRITABLE", `the image can't be kept in ${folder}: make it writable, or name a file with -o`);
  const file = output ?? pulled.file ?? "";
  const { name: flow } = image.manifest;
  const { sha256 } = image;
  if (json === true) {
    const report = { flow, reference, digest, sha256, bytes: image.bytes.length, file, signedBy: signedBy ?? null };
    terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const by = signedBy === undefined ? "" : `, signed by ${relative(process.cwd(), signedBy)}`;
  const named = output === undefined ? `sha256:${sha256.slice(0, 12)}` : output;
  terminal.out(`${terminal.paint.bold(flow)}  ${bytesText(image.bytes.length)}${by}\n${digest}\nimage: ${named}\n`);
  return exitCodes.ok;
}

const registryHelp = `
The registry is one of the OCI distribution specification. It is reached by HTTPS, on this computer by HTTP. Credentials are those of
\`docker login\`, or MAYFLY_REGISTRY_USER and MAYFLY_REGISTRY_PASSWORD.`;

export function addPush(program: Command, cli: Cli): Command {
  const command = program
    .command("push")
    .description("Put images of flows into a registry, as OCI artefacts.")
    .argument("<source>", "a folder of `mayfly build --oci`, an image (.mfi), or a flow, which is built first")
    .argument("<reference>", "HOST/REPOSITORY:TAG; of a folder each flow goes to HOST/REPOSITORY/FLOW:TAG")
    .option("--sign <key>", "sign what is pushed with this private key (PEM: ECDSA, RSA or Ed25519); MAYFLY_KEY_PASSPHRASE opens it")
    .addOption(jsonOption())
    .action(action(cli, (source: string, reference: string, flags: PushFlags) => push(cli, source, reference, flags)));
  return examples(command.addHelpText("after", registryHelp), [
    ["mayfly push flows/orders.ts registry.example/shop/orders:1.4", "builds and pushes one flow"],
    ["mayfly push out registry.example/shop:1.4 --sign release.key", "all of `mayfly build --oci out`, signed"],
  ]);
}

export function addPull(program: Command, cli: Cli): Command {
  const command = program
    .command("pull")
    .description(
      "Fetch an image of a flow from a registry into the project's images; `image: oci://REFERENCE` in mayfly.yaml does so by itself.",
    )
    .argument("<reference>", "HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST")
    .option("-o, --output <file>", "write it to this file as well")
    .option("-c, --config <file>", "the configuration, for its images.trust and the project's images", "mayfly.yaml")
    .option("--trust <key...>", "public keys (PEM), one of which must have signed it (default: images.trust)")
    .addOption(jsonOption())
    .action(action(cli, (reference: string, flags: PullFlags) => pull(cli, reference, flags)));
  return examples(command.addHelpText("after", registryHelp), [
    ["mayfly pull registry.example/shop/orders:1.4", "prints the line for mayfly.yaml"],
    ["mayfly pull registry.example/shop/orders:1.4 --trust release.pub -o orders.mfi", "only if it is signed by that key"],
  ]);
}
