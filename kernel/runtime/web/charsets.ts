/** The part `charsets`: every charset of one byte a character that the Encoding Standard has, for bodies, `text.parse` and TextDecoder. */
import { kernel } from "../link.ts";
import { eachSingleByte } from "./charset-tables.ts";

eachSingleByte(kernel.addCharset);
