/** The part `charsets/traditional-chinese`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { traditionalChineseTables } from "./tables.ts";

const tables = traditionalChineseTables();
addMultibyte(
  kernel.addCodec,
  () => kernel.native,
  "traditional-chinese",
  () => tables,
);
