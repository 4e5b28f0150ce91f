/** The report: docs/COMPAT.md. */
import type { Verdict } from "./run.ts";

const round = (ms: number): string => (ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : ms.toFixed(0));

function row({ package: name, why, imageBytes, machineMs, nodeMs }: Verdict): string {
  if (why !== undefined) return `| ${name} | no: ${why.replaceAll("|", "\\|").replace(/[<>`*]/g, " ")} | | | |`;
  return `| ${name} | yes | ${(imageBytes / 2 ** 20).toFixed(1)} MiB | ${round(machineMs)} ms | ${round(nodeMs)} ms |`;
}

const head = `# npm packages in a flow

Jobs of \`npm run compat\`: each runs in a flow and in Node, and works when both give the same. The versions are those of
[package-lock.json](../test/compat/packages/package-lock.json); the jobs are in [test/compat/jobs](../test/compat/jobs). \`UPDATE=1 npm run compat\` writes this page.

"Image" is the size on disk of a flow with the package. Times are of the fastest of two runs after the first: CPU time in a machine, and wall-clock time in Node on the same computer.
`;

/** The page. */
export function pageOf(themes: Readonly<Record<string, readonly Verdict[]>>): string {
  const all = Object.values(themes).flat();
  const passed = all.filter(({ why }) => why === undefined).length;
  const share = ((100 * passed) / all.length).toFixed(1);
  const parts = Object.entries(themes).map(
    ([theme, verdicts]) =>
      `## ${theme}\n\n| package | works | image | machine | Node |\n| --- | --- | --- | --- | --- |\n${verdicts.map(row).join("\n")}\n`,
  );
  return `${head}\n**${passed} of ${all.length} jobs work (${share} %).**\n\n${parts.join("\n")}`;
}

/** Packages that the page says do not work. */
export function knownFailures(page: string): ReadonlySet<string> {
  return new Set([...page.matchAll(/^\| ([^|]+) \| no: /gm)].map(([, name]) => name!));
}
