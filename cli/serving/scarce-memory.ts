/**
 * Settings that a process can only be started with. By itself glibc keeps long pieces of memory that were freed, up to 32 MiB each, in several
 * arenas; and V8 of Node 22 and later lets its young generation grow to 134 MB. All of that is beside the memory budget: in a container of
 * 400 MB the kernel ended gateways over it that had kept their budget.
 */
import { availableMemory, defaultMemoryBytes } from "#gateway";
import { cliLimits } from "../limits.ts";

type Execve = (file: string, argv: readonly string[], env: NodeJS.ProcessEnv) => never;

/** Where memory is scarce the process is replaced, once, by the same command with these settings; Node can do that from 22.15 on. */
export function settleForScarceMemory(): void {
  const { execve } = process as { readonly execve?: Execve };
  const { MALLOC_MMAP_THRESHOLD_: kept, MALLOC_ARENA_MAX: arenas } = process.env;
  if (execve === undefined || kept !== undefined || process.argv[2] !== "serve") return;
  if (defaultMemoryBytes(availableMemory()) >= cliLimits.scarceMemoryBytes) return;
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: String(cliLimits.scarceKeptBytes), MALLOC_ARENA_MAX: arenas ?? "2" };
  const young = `--max-semi-space-size=${cliLimits.scarceYoungMib}`;
  execve.call(process, process.execPath, [process.execPath, young, ...process.execArgv, ...process.argv.slice(1)], env);
}
