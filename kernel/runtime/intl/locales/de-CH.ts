/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { de } from "./de.ts";

export const deCH: LocaleTable = addLocale(
  "de-CH",
  `
dGyM={M}/{y} {G444}
dwGyM={M}/{y} {G444} {w567}
tsf={s11}.{f}
tsfz={s11}.{f} {z}
tmsf={m22}:{s22}.{f}
tmsfz={m22}:{s22}.{f} {z}
t12hmsf={h}:{m22}:{s22}.{f} {a9}
t24hmsf={h22}:{m22}:{s22}.{f}
t24hmsf/122={h11}:{m22}:{s22}.{f}
t12hmsfz={h}:{m22}:{s22}.{f} {a9} {z}
t24hmsfz={h}:{m22}:{s22}.{f} {z}
t24hmsfz/111S={h22}:{m22}:{s22}.{f} {z}
t24hmsfz/111L={h22}:{m22}:{s22}.{f} {z}
t24hmsfz/112L={h22}:{m22}:{s22}.{f} {z}
t24hmsfz/121L={h22}:{m22}:{s22}.{f} {z}
nsym=.|'|-|+|E|NaN|∞|1
np:={n}{%}
np:-={-}{n}{%}
np:+={-}{n}{%}
nc:={c} {n}
nc:-={c}{-}{n}
nc:+={c}{-}{n}
nC:={c} {n}
nC:-={c}{-}{n}
nC:+={c}{-}{n}
na:={c} {n}
na:-={c}{-}{n}
na:+={c}{-}{n}
nA:={c} {n}
nA:-={c}{-}{n}
nA:+={c}{-}{n}
ulong:foot={n} {u:Fuss}
$BYN=|р.|Weissrussischer Rubel|Weissrussische Rubel
$EUR=||Euro
regions=
dGyMd
dwGyMd
`,
  de,
);
