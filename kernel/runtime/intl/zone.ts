/** The part `zone`: links `zone(…)` into the image. */
import { kernel } from "../link.ts";
import { makeZone } from "./wall-time.ts";

kernel.linkZone((name) => makeZone(name, kernel.FlowError));
