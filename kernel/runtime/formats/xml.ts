/** The part `xml`: links the XML format into the image. */
import { kernel } from "../link.ts";
import { parse, stringify } from "./xml-format.ts";

kernel.xml.link({
  parse: (input, options) => parse(input, kernel, options),
  stringify: (value, options) => stringify(value, kernel.native, options),
});
