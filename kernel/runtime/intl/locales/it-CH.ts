/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { it } from "./it.ts";

export const itCH: LocaleTable = addLocale(
  "it-CH",
  `
dyMd/122={d22}.{M22}.{y11}
dyMd/212={d22}.{M11}.{y22}
dyMd/221={d11}.{M22}.{y22}
dyMd/222={d22}.{M22}.{y22}
dwyNd={w678}, {d} {N0} {y}
dwyNd/n11={w6} {d11} {N0} {y11}
dwyNd/n12={w6} {d22} {N0} {y11}
dwyNd/n21={w6} {d11} {N0} {y22}
dwyNd/n22={w6} {d22} {N0} {y22}
dwyNd/s11={w7} {d11} {N0} {y11}
dwyNd/s12={w7} {d22} {N0} {y11}
dwyNd/s21={w7} {d11} {N0} {y22}
dwyNd/s22={w7} {d22} {N0} {y22}
dwySd={w678}, {d} {N1} {y}
dwySd/n11={w6} {d11} {N1} {y11}
dwySd/n12={w6} {d22} {N1} {y11}
dwySd/n21={w6} {d11} {N1} {y22}
dwySd/n22={w6} {d22} {N1} {y22}
dwySd/s11={w7} {d11} {N1} {y11}
dwySd/s12={w7} {d22} {N1} {y11}
dwySd/s21={w7} {d11} {N1} {y22}
dwySd/s22={w7} {d22} {N1} {y22}
dwyLd={w678}, {d} {N2} {y}
dfull={w8}, {d11} {N2} {y11}
dshort={d22}.{M22}.{y22}
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
nsym=.|'|-|+|E|NaN|∞|2
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
regions=
`,
  it,
);
