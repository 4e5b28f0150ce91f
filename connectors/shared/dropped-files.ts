/** Files that are dropped into a folder: patterns of their names, names to leave alone, content types. */
import { table } from "#base";

/** `*.csv`, `orders-*.xml`, `?` for one character. */
export function globPattern(glob: string): RegExp {
  const body = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${body}$`);
}

const contentTypes: Readonly<Record<string, string>> = table({
  json: "application/json",
  xml: "application/xml",
  csv: "text/csv",
  txt: "text/plain",
  html: "text/html",
  yaml: "application/yaml",
  yml: "application/yaml",
});
/** By the name's extension. */
export function contentTypeOf(name: string): string {
  return contentTypes[name.slice(name.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";
}

const unfinished = /(^\.)|(\.(tmp|part|partial|filepart|crdownload|swp)$)|(~$)/i;

/** True for names of files that are not finished, or not meant for us. */
export function isUnfinished(name: string): boolean {
  return unfinished.test(name);
}
