/** Every command, in the order of the help. */
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addBacktest } from "./backtest.ts";
import { addBench } from "./bench.ts";
import { addBoot } from "./boot.ts";
import { addBuild } from "./build.ts";
import { addCluster } from "./cluster.ts";
import { addCompile } from "./compile.ts";
import { addDebug } from "./debug.ts";
import { addDeploy } from "./deploy.ts";
import { addDev } from "./dev.ts";
import { addDlq } from "./dlq.ts";
import { addConfig } from "./config.ts";
import { addDoctor } from "./doctor.ts";
import { addExplore } from "./explore.ts";
import { addFlows, addOutlets } from "./flows.ts";
import { addFunctions } from "./functions.ts";
import { addImages, addRollback } from "./images.ts";
import { addInit } from "./init.ts";
import { addInspect } from "./inspect.ts";
import { addJournal } from "./journal.ts";
import { addLint } from "./lint.ts";
import { addLogs } from "./logs.ts";
import { addMcp } from "./mcp.ts";
import { addMessages } from "./messages.ts";
import { addOpenApi } from "./openapi.ts";
import { addPs } from "./ps.ts";
import { addPull, addPush } from "./push.ts";
import { addQueue } from "./queue.ts";
import { addReplay } from "./replay.ts";
import { addResubmit } from "./resubmit.ts";
import { addRun } from "./run.ts";
import { addSecrets, addUsage } from "./secrets.ts";
import { addSend } from "./send.ts";
import { addServe } from "./serve.ts";
import { addSignal } from "./signal.ts";
import { addSleepers } from "./sleepers.ts";
import { addStop } from "./stop.ts";
import { addTest } from "./test.ts";
import { addTrace } from "./trace.ts";
import { addTypes } from "./types.ts";
import { addUp } from "./up.ts";

export const commands: readonly ((program: Command, cli: Cli) => Command)[] = [
  addInit,
  addRun,
  addTest,
  addExplore,
  addLint,
  addConfig,
  addOpenApi,
  addTypes,
  addDev,
  addServe,
  addSend,
  addSleepers,
  addSignal,
  addMessages,
  addTrace,
  addResubmit,
  addReplay,
  addBacktest,
  addDebug,
  addDlq,
  addMcp,
  addFlows,
  addOutlets,
  addQueue,
  addCluster,
  addImages,
  addRollback,
  addDeploy,
  addFunctions,
  addSecrets,
  addUsage,
  addJournal,
  addBuild,
  addPush,
  addPull,
  addInspect,
  addUp,
  addPs,
  addLogs,
  addStop,
  addBoot,
  addCompile,
  addBench,
  addDoctor,
];
