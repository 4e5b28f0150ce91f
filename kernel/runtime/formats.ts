/**
 * Formats that are linked only into images that use them. `formats/xml.ts` and `formats/csv.ts` register themselves here (through the
 * hidden kernel object, see flow.ts); until then their calls say what to import.
 */
import { FlowError, isEngineFailure } from "./errors.ts";

export interface Format {
  parse(input: string | Uint8Array, options?: object): unknown;
  stringify(value: unknown, options?: object): string;
}

/** The error of what belongs to a part that this image does not have. */
export function notLinked(what: string, part: string): FlowError {
  return new FlowError(
    "MF_FORMAT_NOT_LINKED",
    `${what} is not linked into this image: add \`import "mayfly/${part}";\` to the flow`,
    false,
  );
}

class LinkedFormat implements Format {
  private readonly name: string;
  private linked: Format | undefined;

  constructor(name: string) {
    this.name = name;
  }

  link(format: Format): void {
    this.linked = format;
  }

  private format(): Format {
    if (this.linked === undefined) throw notLinked(this.name, this.name);
    return this.linked;
  }

  /** Throws MF_XML_INVALID, MF_CSV_INVALID. */
  parse(input: string | Uint8Array, options?: object): unknown {
    const format = this.format();
    return this.called("INVALID", () => format.parse(input, options));
  }

  /** Throws MF_XML_UNSERIALISABLE, MF_CSV_UNSERIALISABLE. */
  stringify(value: unknown, options?: object): string {
    const format = this.format();
    return this.called("UNSERIALISABLE", () => format.stringify(value, options));
  }

  /** The result of a call. Its errors get the code MF_XML_… or MF_CSV_… with this ending. */
  protected called<T>(ending: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.coded(error, ending);
    }
  }

  private coded(error: unknown, ending: string): unknown {
    if (isEngineFailure(error)) return error;
    return new FlowError(
      `MF_${this.name.toUpperCase()}_${ending}`,
      error instanceof Error ? error.message : String(error),
      false,
      0,
      error,
    );
  }
}

type Select = (value: unknown, path: string) => unknown[];
type Canonical = (element: unknown, options?: object) => string;

class XmlFormat extends LinkedFormat {
  private selects: Select | undefined;
  private canonicals: Canonical | undefined;

  constructor() {
    super("xml");
  }

  linkSelect(select: Select): void {
    this.selects = select;
  }

  linkCanonical(canonical: Canonical): void {
    this.canonicals = canonical;
  }

  /** Throws MF_XML_PATH. */
  select(value: unknown, path: string): unknown[] {
    const { selects } = this;
    if (selects === undefined) throw notLinked("xml.select", "xpath");
    return this.called("PATH", () => selects(value, path));
  }

  /** Throws MF_XML_UNSERIALISABLE. */
  canonical(element: unknown, options?: object): string {
    const { canonicals } = this;
    if (canonicals === undefined) throw notLinked("xml.canonical", "canonical");
    return this.called("UNSERIALISABLE", () => canonicals(element, options));
  }
}

export const xml: XmlFormat = new XmlFormat();
export const csv: LinkedFormat = new LinkedFormat("csv");
