/** microVMs that serve the network by themselves: mayfly.yaml lowered to the service in their ELF, and their life on this computer. */
export { type BuiltImage, flowNames, type LoweredService, lowerService, plainService } from "./lowering/lower.ts";
export { isLate } from "./lowering/refusals.ts";
