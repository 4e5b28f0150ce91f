/** Every outlet there is, in the order of the documentation. */
import { fileOutlet } from "./file.ts";
import { flowOutlet } from "./flow.ts";
import { httpOutlet } from "./http.ts";
import { logOutlet } from "./log.ts";
import type { OutletDefinition } from "./outlet.ts";

export const outlets: readonly OutletDefinition[] = [httpOutlet, fileOutlet, logOutlet, flowOutlet];
