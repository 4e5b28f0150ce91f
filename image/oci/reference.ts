/** Names of artefacts in a registry, as the distribution specification has them: `HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`. */
import { CodedError } from "#base";

export interface Reference {
  /** With its port, if any. */
  readonly host: string;
  readonly repository: string;
  /** Undefined where only a digest is given. */
  readonly tag: string | undefined;
  /** `sha256:` and 64 digits; undefined where only a tag is given. */
  readonly digest: string | undefined;
}

const hostPattern = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?$/i;
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
const longest = 255;

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** Throws MF_OCI_REFERENCE. Without tag and digest the tag is `latest`. */
export function parseReference(text: string): Reference {
  const wrong = (why: string): CodedError =>
    new CodedError(
      "MF_OCI_REFERENCE",
      `"${text}" names no artefact, ${why}: write HOST/REPOSITORY:TAG, as registry.example/shop/orders:1.4`,
    );
  const slash = text.indexOf("/");
  const host = text.slice(0, Math.max(slash, 0));
  // A first part without dot, port or "localhost" would be a folder of some registry that nobody has named.
  if (slash < 0 || !/[.:]|^localhost$/.test(host)) throw wrong("it has no registry");
  if (!hostPattern.test(host)) throw wrong(`"${host}" is no host`);
  const rest = text.slice(slash + 1);
  const at = rest.indexOf("@");
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw wrong("a digest is sha256: and 64 digits");
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(":");
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) throw wrong(`"${tag}" is no tag`);
  const repository = colon < 0 ? named : named.slice(0, colon);
  if (!repositoryPattern.test(repository) || repository.length > longest)
    throw wrong("a repository is made of lower-case letters, digits, dots, dashes and slashes");
  return { host, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

export function referenceText({ host, repository, tag, digest }: Reference): string {
  return `${host}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
