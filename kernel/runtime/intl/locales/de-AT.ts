/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { de } from "./de.ts";

export const deAT: LocaleTable = addLocale(
  "de-AT",
  `
l1=Jän|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez
l2=Jän.|Feb.|März|Apr.|Mai|Juni|Juli|Aug.|Sep.|Okt.|Nov.|Dez.
l3=Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember
nsym=,| |-|+|E|NaN|∞|1
ncur=,|.|-|+|E|NaN|∞|1
nc:={c} {n}
nc:-={-}{c} {n}
nc:+={-}{c} {n}
nC:={c} {n}
nC:-={-}{c} {n}
nC:+={-}{c} {n}
na:={c} {n}
na:-={-}{c} {n}
na:+={-}{c} {n}
nA:={c} {n}
nA:-={-}{c} {n}
nA:+={-}{c} {n}
regions=
`,
  de,
);
