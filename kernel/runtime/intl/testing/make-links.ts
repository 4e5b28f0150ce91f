/** Makes zone-links.ts from Node's own Intl: the names of zones that are links to another of the same country. */
import { zoneNames } from "../zone-table.ts";

/** Version of the time zone database whose links the table has. */
export const linksVersion = "2025c";

/** Node's name of the zone that a name stands for; undefined for a name that it does not have. */
function resolved(timeZone: string): string | undefined {
  try {
    return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The text of zone-links.ts; undefined if this Node has another version of the database. */
export function makeLinks(): string | undefined {
  if (process.versions["tz"] !== linksVersion) return undefined;
  const names = [...zoneNames.matchAll(/([^,]+):\d+/g)].map(([, name = ""]) => name);
  const links = names.flatMap((name) => {
    const target = resolved(name);
    return target === undefined || target === name ? [] : [`${name}>${target}`];
  });
  return `/** Made by testing/make-links.ts (UPDATE=1 npm test -- kernel/runtime/intl/temporal), which explains it. */
export const linkedZones: string =
  "${links.join(",")},";
`;
}
