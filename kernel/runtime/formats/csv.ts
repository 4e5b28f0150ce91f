/** The part `csv`: links the CSV format into the image. */
import { kernel } from "../link.ts";
import { parse, stringify } from "./csv-format.ts";

kernel.csv.link({
  parse: (input, options) => parse(input, kernel, options),
  stringify: (value, options) => stringify(value, kernel.native, options),
});
