/** Packages that read XML over a DOM, without their types, which bring a browser's. */
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

interface PeerNode {
  readonly textContent: string | null;
}
interface PeerDocument {
  readonly documentElement: PeerNode;
}
const { DOMParser } = load("@xmldom/xmldom") as { DOMParser: new () => { parseFromString(text: string, type: string): PeerDocument } };
const { select } = load("xpath") as { select(path: string, node: PeerDocument): readonly PeerNode[] | string | number | boolean };
type Canonicalization = new () => { process(node: PeerNode, options: object): string };
const { C14nCanonicalization, ExclusiveCanonicalization } = load("xml-crypto") as Record<string, Canonicalization>;

function documentOf(source: string): PeerDocument {
  return new DOMParser().parseFromString(source, "text/xml");
}

/** String values of what a path finds from the document on. */
export function selectedByPeer(source: string, path: string): readonly string[] {
  const found = select(path, documentOf(source));
  return typeof found === "object" ? found.map((node) => node.textContent ?? "") : [String(found)];
}

/** The canonical form of the root element. */
export function canonicalByPeer(source: string, exclusive: boolean): string {
  const canonicalization = exclusive ? ExclusiveCanonicalization! : C14nCanonicalization!;
  return String(new canonicalization().process(documentOf(source).documentElement, {}));
}
