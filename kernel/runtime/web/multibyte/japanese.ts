/** The part `charsets/japanese`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { japaneseTables } from "./tables.ts";

const tables = japaneseTables();
addMultibyte(
  kernel.addDecoder,
  () => kernel.native,
  "japanese",
  () => tables,
);
