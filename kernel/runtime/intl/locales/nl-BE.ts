/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { nl } from "./nl.ts";

export const nlBE: LocaleTable = addLocale(
  "nl-BE",
  `
dMd={d}/{M}
dyM={M}/{y}
dyMd={d}/{M}/{y}
dwMd={w678} {d}/{M}
dwyM={M}/{y} {w678}
dwyMd={w678} {d}/{M}/{y}
dshort={d11}/{M22}/{y11}
regions=
`,
  nl,
);
