/** The part `canonical`: `xml.canonical`. */
import { kernel } from "../link.ts";
import { canonical } from "./xml-canonical.ts";

kernel.xml.linkCanonical(canonical);
