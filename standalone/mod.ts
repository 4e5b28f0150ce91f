/** Services without a gateway: mayfly.yaml lowered to the service in an ELF, and the life of microVMs on this computer. */
export {
  type BuiltImage,
  flowNames,
  type LoweredFlow,
  type LoweredService,
  lowerService,
  plainService,
  type StandaloneTarget,
} from "./lowering/lower.ts";
export { isLate } from "./lowering/refusals.ts";
export { standaloneLimits } from "./limits.ts";
export { machineCommand } from "./machines/command.ts";
export { allMachines, claimFolder, type Machine, machinesFolder, type PortPair, removeFolder, requireMachine } from "./machines/folder.ts";
export { readConsole } from "./machines/logs.ts";
export { portsOf } from "./machines/ports.ts";
export { type ConfigFile, configText, readConfigFile, settingsOf, userNetwork } from "./machines/settings.ts";
export { type MachineEnd, type StartedMachine, startMachine } from "./machines/start.ts";
export { endMachine, killMachine, stopMachine, type StopResult } from "./machines/stop.ts";
