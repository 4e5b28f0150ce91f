/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { fr } from "./fr.ts";

export const frCH: LocaleTable = addLocale(
  "fr-CH",
  `
dMd={d22}.{M22}.
dMd/12={d22}.{M11}
dMd/21={d11}.{M22}
dMd/22={d22}.{M22}
dyM={M22}.{y}
dyMd={d22}.{M22}.{y}
dyMd/212={d22}.{M11}.{y22}
dyMd/221={d11}.{M22}.{y22}
dwMd={w567}, {d22}.{M22}.
dwyM={M22}.{y} {w567}
dwyMd={w567}, {d22}.{M22}.{y}
dwyNd={w567}, {d} {N0} {y}
dwyNd/n11={w5} {d11} {N0} {y11}
dwyNd/n12={w5} {d22} {N0} {y11}
dwyNd/n21={w5} {d11} {N0} {y22}
dwyNd/n22={w5} {d22} {N0} {y22}
dwyNd/s11={w6} {d11} {N0} {y11}
dwyNd/s12={w6} {d22} {N0} {y11}
dwyNd/s21={w6} {d11} {N0} {y22}
dwyNd/s22={w6} {d22} {N0} {y22}
dwySd={w567}, {d} {N1} {y}
dwySd/n11={w5} {d11} {N1} {y11}
dwySd/n12={w5} {d22} {N1} {y11}
dwySd/n21={w5} {d11} {N1} {y22}
dwySd/n22={w5} {d22} {N1} {y22}
dwySd/s11={w6} {d11} {N1} {y11}
dwySd/s12={w6} {d22} {N1} {y11}
dwySd/s21={w6} {d11} {N1} {y22}
dwySd/s22={w6} {d22} {N1} {y22}
dwyLd={w567}, {d} {N2} {y}
dfull={w7}, {d11} {N2} {y11}
dshort={d22}.{M22}.{y22}
t24hmsz/111l={h11}.{m22}:{s22} h {z}
t24hmsz/112l={h11}.{m22}:{s22} h {z}
t24hmsz/112S={h11}.{m22}:{s22} h {z}
t24hmsz/121l={h11}.{m22}:{s22} h {z}
t24hmsz/121S={h11}.{m22}:{s22} h {z}
t24hmsz/122l={h11}.{m22}:{s22} h {z}
t24hmsz/122S={h11}.{m22}:{s22} h {z}
t24hmsz/122L={h11}.{m22}:{s22} h {z}
t24hmsz/211l={h22}.{m22}:{s22} h {z}
t24hmsz/211S={h22}.{m22}:{s22} h {z}
t24hmsz/212l={h22}.{m22}:{s22} h {z}
t24hmsz/212S={h22}.{m22}:{s22} h {z}
t24hmsz/212L={h22}.{m22}:{s22} h {z}
t24hmsz/221l={h22}.{m22}:{s22} h {z}
t24hmsz/221S={h22}.{m22}:{s22} h {z}
t24hmsz/221L={h22}.{m22}:{s22} h {z}
t24hmsz/222l={h22}.{m22}:{s22} h {z}
t24hmsz/222S={h22}.{m22}:{s22} h {z}
t24hmsz/222L={h22}.{m22}:{s22} h {z}
t24hmsfz/111l={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/112l={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/112S={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/121l={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/121S={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/122l={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/122S={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/122L={h11}.{m22}:{s22},{f} h {z}
t24hmsfz/211l={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/211S={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/212l={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/212S={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/212L={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/221l={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/221S={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/221L={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/222l={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/222S={h22}.{m22}:{s22},{f} h {z}
t24hmsfz/222L={h22}.{m22}:{s22},{f} h {z}
t24full={h22}.{m22}:{s22} h {z}
ncur=.| |-|+|E|NaN|∞|1
np:={n}{%}
np:-={-}{n}{%}
np:+={-}{n}{%}
regions=
dyMd/112
dyMd/121
`,
  fr,
);
