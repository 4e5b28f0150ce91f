/** Every decoder of what comes from outside, by name. */
import type { Open } from "../target.ts";
import { openConfig } from "./config.ts";
import { openEffects, openEvents } from "./door.ts";
import { openCsv, openForm, openJson, openXml } from "./formats.ts";
import { openHttp } from "./http.ts";
import { openImage } from "./image.ts";
import { openInflate } from "./inflate.ts";
import { openJournal, openRecords } from "./journal.ts";
import { openKey } from "./key.ts";
import { openNatives } from "./natives.ts";
import { openPgoutput } from "./pgoutput.ts";

export const targets: Readonly<Record<string, Open>> = {
  effects: openEffects,
  events: openEvents,
  image: openImage,
  journal: openJournal,
  records: openRecords,
  config: openConfig,
  json: openJson,
  csv: openCsv,
  xml: openXml,
  form: openForm,
  http: openHttp,
  key: openKey,
  natives: openNatives,
  inflate: openInflate,
  pgoutput: openPgoutput,
};
