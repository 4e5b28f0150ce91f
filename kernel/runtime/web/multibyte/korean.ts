/** The part `charsets/korean`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { koreanTables } from "./tables.ts";

const tables = koreanTables();
addMultibyte(
  kernel.addDecoder,
  () => kernel.native,
  "korean",
  () => tables,
);
