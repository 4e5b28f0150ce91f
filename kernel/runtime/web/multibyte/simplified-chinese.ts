/** The part `charsets/simplified-chinese`. */
import { kernel } from "../../link.ts";
import { addMultibyte } from "./decoder.ts";
import { simplifiedChineseTables } from "./tables.ts";

const tables = simplifiedChineseTables();
addMultibyte(
  kernel.addCodec,
  () => kernel.native,
  "simplified-chinese",
  () => tables,
);
