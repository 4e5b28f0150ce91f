/** Paths of XPath (xml-path.ts) looked up in a value that was parsed from XML. */
import { XmlNode } from "./xml-nodes.ts";
import { type Expression, PathError, readPath } from "./xml-path.ts";

/** Most paths that are kept as they were read. */
const mostKept = 64;
const kept = new Map<string, Expression>();

function read(path: string): Expression {
  const known = kept.get(path);
  if (known !== undefined) return known;
  const made = readPath(path);
  if (kept.size < mostKept) kept.set(path, made);
  return made;
}

/** The node that a path begins at: an element in order is its own, another value the document of what is in it. */
function contextOf(value: unknown): XmlNode {
  const isOrdered = typeof value === "object" && value !== null && Object.hasOwn(value, "#name");
  if (!isOrdered) return new XmlNode("document", "", value);
  return new XmlNode("document", "", { "#name": "", "#children": [value] }).children[0]!;
}

/** Throws Error with the place in the path. */
export function select(value: unknown, path: string): unknown[] {
  try {
    const expression = read(path);
    return (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap((each) => {
      const found = expression({ node: contextOf(each), position: 1, size: 1 });
      return typeof found === "object" ? found.map((node) => node.value) : [found];
    });
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw new Error(`${error.message} (character ${error.at + 1})\n  ${path}\n${" ".repeat(error.at + 2)}^`);
  }
}
