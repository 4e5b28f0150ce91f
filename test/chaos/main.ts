/** `npm run chaos`: see docs/CHAOS.md. */
import { runClusterChaos } from "../cluster/campaign.ts";
import { runChaos } from "./campaign.ts";
import { type ChaosOptions, readOptions, usage } from "./options.ts";
import { reportText } from "./report.ts";
import { runStandaloneChaos } from "./standalone.ts";

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--cluster")) return await runClusterChaos(argv, (line) => process.stderr.write(`${line}\n`));
  if (argv.includes("--standalone")) return await runStandaloneChaos(argv, (line) => process.stderr.write(`${line}\n`));
  let options: ChaosOptions | "help";
  try {
    options = readOptions(argv);
  } catch (error) {
    process.stderr.write(`chaos: ${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    return 2;
  }
  if (options === "help") {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const report = await runChaos(options, (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${options.json ? JSON.stringify(report, undefined, 2) : reportText(report)}\n`);
  return report.broken ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
