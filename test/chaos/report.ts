/** Report of a run, for people and for programs. */
import type { Verdict } from "./ledger.ts";

export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly kills: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly sinkFaults: Readonly<Record<string, number>>;
  readonly starts: number;
  readonly upgrades: number;
  readonly resent: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
  /** The gateway ended by itself, did not end by SIGTERM, the journal is damaged, dead letters lie where none should. */
  readonly troubles: readonly string[];
  /** Of lanes that count more than the ledger does. */
  readonly figures: Readonly<Record<string, number>>;
  /** Parts that are not available here, with the reasons. */
  readonly skipped: readonly string[];
  /** Kills or messages that were aimed at and not reached. */
  readonly short: readonly string[];
  /** Folder with journal and logs; undefined when it was removed. */
  readonly evidence: string | undefined;
  readonly broken: boolean;
}

const shown = 20;

function listed(title: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > shown ? [`    … and ${ids.length - shown} more`] : [];
  return [`  ${title}:`, ...ids.slice(0, shown).map((id) => `    ${id}`), ...more];
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} × ${name}`)
    .join(", ");
}

export function reportText(report: ChaosReport): string {
  const { verdict } = report;
  const columns = ["lane", "sent", "received", "missing", "duplicated", "late", "forgotten"];
  const rows = verdict.lanes.map((lane) => [lane.lane, lane.sent, lane.received, lane.missing, lane.duplicated, lane.late, lane.forgotten]);
  const line = (cells: readonly (string | number)[]): string =>
    `  ${cells.map((cell, at) => (at === 0 ? String(cell).padEnd(10) : String(cell).padStart(11))).join("")}`;
  const figures = {
    sent: verdict.sent,
    received: verdict.received,
    missing: verdict.missing.length,
    duplicated: verdict.duplicated,
    "of them unexplained": verdict.unexplained.length,
    unexpected: verdict.unexpected.length,
    "out of order": verdict.outOfOrder.length,
    miscounted: verdict.miscounted.length,
  };
  return [
    `chaos: seed ${report.seed}, ${Math.round(report.seconds)} s, ${report.kills} kills, ${report.starts} starts, ${report.upgrades} upgrades (${verdict.versions} versions seen)`,
    `  faults: ${counted(report.faults)}`,
    `  receiver's faults: ${counted(report.sinkFaults)}`,
    `  tries without acknowledgement: ${counted(report.resent)}`,
    line(columns),
    ...rows.map(line),
    `  ${Object.entries(figures)
      .map(([name, count]) => `${name} ${count}`)
      .join(" · ")}`,
    ...(Object.keys(report.figures).length === 0
      ? []
      : [
          `  sleepers: ${Object.entries(report.figures)
            .map(([name, value]) => `${name} ${value}`)
            .join(" · ")}`,
        ]),
    ...listed("missing", verdict.missing),
    ...listed("duplicated though nothing was cut", verdict.unexplained),
    ...listed("unexpected", verdict.unexpected),
    ...listed("out of order", verdict.outOfOrder),
    ...listed("miscounted", verdict.miscounted),
    ...listed("troubles", report.troubles),
    ...report.skipped.map((reason) => `  skipped: ${reason}`),
    ...report.short.map((what) => `  short of its aim: ${what}`),
    ...(report.evidence === undefined ? [] : [`  journal and logs: ${report.evidence}`]),
    report.broken ? `  BROKEN. Again with: npm run chaos -- --seed ${report.seed}` : "  nothing lost, nothing twice, nothing out of order",
  ].join("\n");
}
