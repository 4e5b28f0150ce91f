/** The part `xpath`: `xml.select`. */
import { kernel } from "../link.ts";
import { select } from "./xml-select.ts";

kernel.xml.linkSelect(select);
