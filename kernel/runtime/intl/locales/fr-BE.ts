/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { fr } from "./fr.ts";

export const frBE: LocaleTable = addLocale(
  "fr-BE",
  `
dyMd/211={d11}/{M11}/{y22}
dshort={d11}/{M22}/{y22}
t24hmsz={h} h {m22} min {s22} s {z}
t24hmsz/211s={h22}:{m22}:{s22} {z}
t24hmsz/211S={h22}:{m22}:{s22} {z}
t24hmsz/211L={h22}:{m22}:{s22} {z}
t24hmsz/212s={h22}:{m22}:{s22} {z}
t24hmsz/212L={h22}:{m22}:{s22} {z}
t24hmsz/221s={h22}:{m22}:{s22} {z}
t24hmsz/221L={h22}:{m22}:{s22} {z}
t24hmsz/222s={h22}:{m22}:{s22} {z}
t24hmsfz={h} h {m22} min {s22},{f} s {z}
t24hmsfz/211s={h22}:{m22}:{s22},{f} {z}
t24hmsfz/211S={h22}:{m22}:{s22},{f} {z}
t24hmsfz/211L={h22}:{m22}:{s22},{f} {z}
t24hmsfz/212s={h22}:{m22}:{s22},{f} {z}
t24hmsfz/212L={h22}:{m22}:{s22},{f} {z}
t24hmsfz/221s={h22}:{m22}:{s22},{f} {z}
t24hmsfz/221L={h22}:{m22}:{s22},{f} {z}
t24hmsfz/222s={h22}:{m22}:{s22},{f} {z}
t12full={h11}:{m22}:{s22} {a8} {z}
t24full={h11} h {m22} min {s22} s {z}
regions=
dyMd/112
`,
  fr,
);
