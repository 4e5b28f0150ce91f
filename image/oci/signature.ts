/**
 * Signatures of artefacts as `cosign sign --key` makes them (cosign's SIGNATURE_SPEC, "simple signing"): an artefact under the tag
 * `sha256-DIGITS.sig` in the same repository, whose layers are what was signed, and the signatures are annotations of them. So
 * `cosign verify --key` checks ours, and we check cosign's. ECDSA, RSA (both over SHA-256) and Ed25519.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign as signBytes, verify as verifyBytes } from "node:crypto";
import { CodedError, fromUtf8, toUtf8 } from "#base";
import { type Blob, blobOf, emptyConfig, emptyDescriptor, mediaTypes, parseManifest } from "./artefact.ts";
import { ociLimits } from "./limits.ts";
import type { Registry } from "./registry.ts";
import type { Reference } from "./reference.ts";

const payloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
const annotation = "dev.cosignproject.cosign/signature";
const signedType = "cosign container image signature";

/** A public key that images are trusted by. */
export interface TrustedKey {
  /** As people know it: its file. */
  readonly name: string;
  readonly key: KeyObject;
  /** SHA-256 of its SPKI, 64 hexadecimal digits. */
  readonly fingerprint: string;
}

const kinds: readonly (string | undefined)[] = ["ec", "rsa", "ed25519"];

function unusable(name: string, why: string, cause?: unknown): CodedError {
  return new CodedError("MF_IMAGE_KEY", `the key ${name} can't be used, ${why}`, cause === undefined ? undefined : { cause });
}

/** `text`: PEM. Throws MF_IMAGE_KEY; also for a private key, which has no business there. */
export function trustedKey(name: string, text: string): TrustedKey {
  if (text.includes("PRIVATE KEY")) throw unusable(name, "it is a private one: name the file with the public key");
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch (cause) {
    throw unusable(name, "it is no public key in PEM", cause);
  }
  if (!kinds.includes(key.asymmetricKeyType)) throw unusable(name, "it is neither ECDSA, RSA nor Ed25519");
  const spki = key.export({ type: "spki", format: "der" });
  return { name, key, fingerprint: createHash("sha256").update(spki).digest("hex") };
}

/** `text`: PEM. Throws MF_IMAGE_KEY. */
export function signingKey(name: string, text: string, passphrase: string | undefined): KeyObject {
  if (text.includes("ENCRYPTED SIGSTORE") || text.includes("ENCRYPTED COSIGN"))
    throw unusable(name, "it is sealed in cosign's own way: sign with `cosign sign --key` instead, or use a key in PKCS #8");
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    throw unusable(name, "it is no private key in PEM, or MAYFLY_KEY_PASSPHRASE does not open it", cause);
  }
  if (!kinds.includes(key.asymmetricKeyType)) throw unusable(name, "it is neither ECDSA, RSA nor Ed25519");
  return key;
}

function hashFor({ asymmetricKeyType }: KeyObject): string | null {
  return asymmetricKeyType === "ed25519" ? null : "sha256";
}

/** The tag under which signatures of an artefact are. */
function signatureTag(digest: string): string {
  return `${digest.replace(":", "-")}.sig`;
}

/** Signs an artefact that is in the registry, beside the signatures that it has. Throws MF_REGISTRY_… */
export async function sign(registry: Registry, { host, repository }: Reference, digest: string, key: KeyObject): Promise<void> {
  const payload = blobOf(
    toUtf8(
      JSON.stringify({
        critical: {
          identity: { "docker-reference": `${host}/${repository}` },
          image: { "docker-manifest-digest": digest },
          type: signedType,
        },
        optional: null,
      }),
    ),
  );
  const signature = signBytes(hashFor(key), payload.bytes, key).toString("base64");
  const layer = { mediaType: payloadType, digest: payload.digest, size: payload.bytes.length, annotations: { [annotation]: signature } };
  const before = await registry.manifest(signatureTag(digest));
  const layers = before === undefined ? [] : parseManifest(before.bytes).layers.filter((each) => !isSame(each.annotations, key, payload));
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: emptyDescriptor(),
    layers: [...layers, layer].slice(-ociLimits.signatures),
  };
  await registry.push({ manifest: blobOf(toUtf8(JSON.stringify(manifest))), blobs: [emptyConfig, payload] }, signatureTag(digest));
}

/** True for a signature that this key has made of the same. */
function isSame(annotations: Readonly<Record<string, string>> | undefined, key: KeyObject, payload: Blob): boolean {
  return isSignedBy(createPublicKey(key), payload.bytes, annotations?.[annotation] ?? "");
}

function isSignedBy(key: KeyObject, payload: Uint8Array, signature: string): boolean {
  try {
    return verifyBytes(hashFor(key), payload, key, Buffer.from(signature, "base64"));
  } catch {
    return false; // not of this kind of key
  }
}

function isAbout(payload: Uint8Array, digest: string): boolean {
  try {
    const { critical } = JSON.parse(fromUtf8(payload)) as { critical?: { type?: unknown; image?: Record<string, unknown> } };
    return critical?.type === signedType && critical.image?.["docker-manifest-digest"] === digest;
  } catch {
    return false;
  }
}

/** The first of these keys that has signed the artefact. Throws MF_IMAGE_UNTRUSTED, MF_REGISTRY_… */
export async function verify(registry: Registry, name: string, digest: string, keys: readonly TrustedKey[]): Promise<TrustedKey> {
  const manifest = await registry.manifest(signatureTag(digest));
  const layers = manifest === undefined ? [] : parseManifest(manifest.bytes).layers;
  for (const layer of layers.slice(0, ociLimits.signatures)) {
    const signature = layer.annotations?.[annotation];
    if (layer.mediaType !== payloadType || signature === undefined || layer.size > ociLimits.payloadBytes) continue;
    const payload = await registry.blob(layer, ociLimits.payloadBytes);
    const signer = keys.find(({ key }) => isSignedBy(key, payload, signature));
    if (signer !== undefined && isAbout(payload, digest)) return signer;
  }
  const has = layers.length === 0 ? "it has no signature" : `none of its ${layers.length} signatures is by a key of images.trust`;
  throw new CodedError(
    "MF_IMAGE_UNTRUSTED",
    `${name} (${digest.slice(0, 19)}) is not trusted, ${has}: sign it with \`mayfly push --sign KEY\` or \`cosign sign --key\``,
  );
}
