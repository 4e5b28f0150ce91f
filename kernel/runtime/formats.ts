/**
 * Formats that are linked only into images that use them. `formats/xml.ts` and `formats/csv.ts` register themselves here (through the
 * hidden kernel object, see flow.ts); until then their calls say what to import.
 */
import { FlowError } from "./errors.ts";

export interface Format {
  parse(input: string | Uint8Array, options?: object): unknown;
  stringify(value: unknown, options?: object): string;
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
    if (this.linked === undefined) {
      throw new FlowError("MF_FORMAT_NOT_LINKED", `${this.name} is not linked into this image: add \`import "mayfly/${this.name}";\` to the flow`, false);
    }
    return this.linked;
  }

  parse(input: string | Uint8Array, options?: object): unknown {
    return this.format().parse(input, options);
  }

  stringify(value: unknown, options?: object): string {
    return this.format().stringify(value, options);
  }
}

export const xml: LinkedFormat = new LinkedFormat("xml");
export const csv: LinkedFormat = new LinkedFormat("csv");
