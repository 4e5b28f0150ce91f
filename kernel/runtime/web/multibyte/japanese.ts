/** The part `charsets/japanese`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { japaneseTables } from "./tables.ts";

const tables = japaneseTables();
addMultibyte(
  kernel.addCodec,
  () => kernel.native,
  "japanese",
  () => tables,
);
