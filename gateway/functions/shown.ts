/** Functions and tenants as the endpoints tell of them; openapi.ts describes the same shapes. */
import type { KeptBytes } from "../journal/journal.ts";
import type { Quota } from "../contract/units.ts";
import type { FunctionFigures } from "./ports.ts";
import type { FunctionRecord, FunctionVersion } from "./records.ts";
import type { TenantKeeps } from "./tenants.ts";

export interface ShownFunction extends Pick<FunctionRecord, "revision" | "live" | "canary" | "aliases"> {
  readonly name: string;
  /** Null: the operator's. */
  readonly tenant: string | null;
  readonly urls: readonly string[];
  /** Images begin with `sha256:`. */
  readonly versions: readonly FunctionVersion[];
  /** True while it is in memory. */
  readonly served: boolean;
}

/** Of this day. */
export interface TenantUsage extends FunctionFigures {
  /** Null: the operator's. */
  readonly tenant: string | null;
  /** `2026-11-30`, in UTC. */
  readonly day: string;
  readonly functions: number;
  readonly quotas: {
    readonly functions: number;
    readonly requests: Quota | null;
    readonly cpuMs: number | null;
    readonly deploys: Quota;
    readonly kept: TenantKeeps | null;
  };
  /** Bytes; null: they are not counted. */
  readonly kept: (KeptBytes & { readonly history: number; readonly images: number }) | null;
  /** Why no message is taken. */
  readonly full: string | null;
}
