/** Operations of contracts in the document of all that is served: names that two contracts share are kept apart, the gateway's errors are added. */
import { normalize } from "node:path";
import type { JsonSchema } from "#gateway/contract";
import { replyOf } from "../contract/check.ts";
import { type Contract, type ContractOperation, escaped, isPlain, type Plain } from "../contract/model.ts";

type Section = "schemas" | "securitySchemes";

export interface MergedOperation {
  /** Behind the source's prefix. */
  readonly template: string;
  readonly method: string;
  readonly operation: Readonly<Record<string, unknown>>;
}

/** A copy in which references and security requirements have new names. */
function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((each) => renamed(each, names));
  if (!isPlain(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      typeof each === "string" && names.has(each) ? names.get(each) : renamed(each, names),
    ]),
  );
}

/** Components of several contracts. */
export class Components {
  readonly schemas: Record<string, unknown>;
  readonly securitySchemes: Record<string, unknown> = {};
  /** Names in the whole by origin: two sources may serve parts of one file. */
  readonly #names = new Map<string, string>();

  constructor(schemas: Readonly<Record<string, JsonSchema>>) {
    this.schemas = { ...schemas };
  }

  /** The operations of a contract, with its components under names of their own. */
  add(contract: Contract, prefix: string): readonly MergedOperation[] {
    const { document } = contract;
    const references = this.#take("schemas", contract.schemas, (name) => contract.origins[name] ?? name);
    const own = isPlain(document["components"]) ? document["components"]["securitySchemes"] : undefined;
    const schemes = this.#take("securitySchemes", isPlain(own) ? own : {}, (name) => `${normalize(contract.file)} ${name}`);
    const paths = document["paths"] as Readonly<Record<string, Readonly<Record<string, Plain>>>>;
    return contract.operations.map(({ template, method }) => {
      const { security = document["security"], ...operation } = paths[template]?.[method.toLowerCase()] ?? {};
      const ways = Array.isArray(security) ? security.filter(isPlain).map((way) => renamedKeys(way, schemes)) : undefined;
      return {
        template: prefix + template,
        method: method.toLowerCase(),
        operation: { ...(renamed(operation, references) as Plain), ...(ways === undefined ? {} : { security: ways }) },
      };
    });
  }

  /** References in a contract with those in the whole, and `SECTION:NAME` with the name in the whole. */
  #take(section: Section, components: Plain, originOf: (name: string) => string): ReadonlyMap<string, string> {
    const names = new Map<string, string>();
    for (const name of Object.keys(components)) {
      const own = this.#names.get(`${section} ${originOf(name)}`) ?? this.#freeName(section, name);
      this.#names.set(`${section} ${originOf(name)}`, own);
      this[section][own] ??= {};
      names.set(`#/components/${section}/${escaped(name)}`, `#/components/${section}/${escaped(own)}`);
      names.set(`${section}:${name}`, own);
    }
    for (const [name, component] of Object.entries(components))
      this[section][names.get(`${section}:${name}`) ?? name] = renamed(component, names);
    return names;
  }

  #freeName(section: Section, wanted: string): string {
    let name = wanted;
    for (let count = 2; Object.hasOwn(this[section], name); count++) name = `${wanted}${count}`;
    return name;
  }
}

function renamedKeys(way: Plain, schemes: ReadonlyMap<string, string>): Plain {
  return Object.fromEntries(Object.entries(way).map(([name, scopes]) => [schemes.get(`securitySchemes:${name}`) ?? name, scopes]));
}

/** The contract's replies, and the gateway's errors that it leaves out. */
export function withErrors(
  { replies }: Pick<ContractOperation, "replies">,
  written: unknown,
  errors: Readonly<Record<string, JsonSchema>>,
): Plain {
  const added = Object.entries(errors).filter(([status]) => Number(status) >= 400 && replyOf(replies, Number(status)) === undefined);
  return { ...(isPlain(written) ? written : {}), ...Object.fromEntries(added) };
}
