import { StackMapper } from "#image";
/** Shared by tests: one monitor, and images built once. */
import { dirname, relative } from "node:path";
import { CodedError } from "#base";
import { embeddedMonitor, type LoadedImage, type Monitor } from "#monitors";
import type { Image } from "#image";
import { cachedImage } from "../images/cache.ts";
import { asDeployed, checkOutlets, type DeployedRules, deployedRules } from "../machine/deployed.ts";
import { driveMachine, type RunResult, type Stimulus, type Stub } from "#replay";
import { isImagePath } from "../machine/load.ts";

export interface ReadyFlow {
  readonly image: Image;
  readonly loaded: LoadedImage;
  readonly stacks: StackMapper;
  /** Undefined where no mayfly.yaml names the flow. */
  readonly rules: DeployedRules | undefined;
  /** Files it is made of: watch these. */
  readonly inputs: readonly string[];
}

export class TestBench {
  readonly #monitor: Monitor = embeddedMonitor({ workers: 1 });
  readonly #flows = new Map<string, Promise<ReadyFlow>>();

  /** The flow at an absolute path, built when first asked for. */
  flow(path: string): Promise<ReadyFlow> {
    let ready = this.#flows.get(path);
    if (ready === undefined) {
      ready = this.#load(path);
      this.#flows.set(path, ready);
    }
    return ready;
  }

  async #load(path: string): Promise<ReadyFlow> {
    if (isImagePath(path))
      throw new CodedError("MF_TEST_INVALID", `${relative(process.cwd(), path)} is an image: give the flow's source file`);
    const { image, inputs } = await cachedImage(path);
    const rules = await deployedRules(path);
    checkOutlets(image.manifest.outlets, rules);
    return { image, inputs, rules, loaded: await this.#monitor.load(image), stacks: StackMapper.of(image, dirname(path)) };
  }

  async run(flow: ReadyFlow, stimulus: Stimulus, stub: Stub): Promise<RunResult> {
    const { loaded, image, stacks, rules } = flow;
    const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
    return await driveMachine(this.#monitor, loaded, { limits, stimulus: asDeployed(stimulus, rules), stub, rules, stacks });
  }

  close(): Promise<void> {
    return this.#monitor.close();
  }
}
