/** The part `charsets/korean`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { koreanTables } from "./tables.ts";

const tables = koreanTables();
addMultibyte(
  kernel.addCodec,
  () => kernel.native,
  "korean",
  () => tables,
);
