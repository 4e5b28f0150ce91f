/** How a program is linked. */
import type { Platform } from "../runtime/platforms.ts";
import type { BindOptions } from "./bind.ts";

export interface ProgramOptions extends BindOptions {
  readonly platform: Platform;
  /** The export that `linux` runs and `bare` starts with: no parameters, no results. */
  readonly entry?: { readonly module: string; readonly name: string };
  /** The export that `pvh` calls with the address of what an exception's entry saved: one i32 parameter, no results. */
  readonly handler?: { readonly module: string; readonly name: string };
  /** Modules whose start functions run before the entry, in this order. A module thawed from an image has started already. */
  readonly start?: readonly string[];
  /** Where text begins. */
  readonly baseAddress?: number;
  /** Where a module's linear memory begins; 8 GiB from there must be its own. */
  readonly memoryBase?: (module: string, ordinal: number) => bigint;
  /** Most pages a module's memory may get, besides its own maximum. */
  readonly memoryPages?: (module: string) => number | undefined;
  readonly stackBytes?: number;
  /** True if tables get the size their active element segments need, as a loader of side modules would have grown them. */
  readonly growTables?: boolean;
}
