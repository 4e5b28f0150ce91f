/** Runs recorded messages again for the gateway's endpoints, one at a time on the monitor that it serves with. */
import { relative, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { flowRules, type FlowRules, type GatewayConfig, type RecordedMessage, type ReplayPort } from "#gateway";
import type { Image } from "#image";
import type { LoadedImage, Monitor } from "#monitors";
import { recordedTest, type Replay, replayRecording } from "#replay";
import { cliLimits } from "../limits.ts";
import { recordedImage, type RecordedFlow, sourceImage } from "../recorded/image.ts";

export interface ReplaysPorts {
  /** Path of mayfly.yaml. */
  readonly file: string;
  /** As of now: a reload changes it. */
  readonly config: () => GatewayConfig;
  /** The image that a flow is served from; undefined where it was not kept. */
  readonly served: (flow: string) => Promise<Image | undefined>;
  /** The gateway's own: a replay takes its turn among the messages. */
  readonly monitor: Monitor;
}

export class Replays implements ReplayPort {
  readonly #ports: ReplaysPorts;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(ports: ReplaysPorts) {
    this.#ports = ports;
  }

  replay(recorded: RecordedMessage, which: "same" | "newest"): Promise<Replay> {
    return this.#alone(async () => {
      const { recording, summary } = recorded;
      const rules = this.#rules(recording.flow);
      const image = await this.#image(recorded, which);
      const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
      const { monitor } = this.#ports;
      return await this.#loaded(image, (loaded) =>
        replayRecording(monitor, loaded, recording, { rules, limits, error: summary.error ?? undefined }),
      );
    });
  }

  flowTest(recorded: RecordedMessage): Promise<string> {
    return this.#alone(async () => {
      const { recording, summary } = recorded;
      const { source } = this.#flow(recording.flow);
      const image = await this.#image(recorded, "same").catch((error: unknown) => {
        if (isCoded(error) && error.code === "MF_REPLAY_IMAGE_GONE") return undefined;
        throw error;
      });
      const options = {
        flow: source === undefined ? `${recording.flow}.ts` : relative(this.#ports.config().base, source),
        rules: this.#rules(recording.flow),
        error: summary.error ?? undefined,
      };
      const { monitor } = this.#ports;
      if (image === undefined) return (await recordedTest(recording, options)).text;
      const ran = (loaded: LoadedImage): ReturnType<typeof recordedTest> =>
        recordedTest(recording, { ...options, ran: { monitor, image: loaded } });
      return (await this.#loaded(image, ran)).text;
    });
  }

  #rules(flow: string): FlowRules | undefined {
    const config = this.#ports.config().flows[flow];
    return config === undefined ? undefined : flowRules(flow, config);
  }

  #flow(name: string): RecordedFlow {
    const { base, flows } = this.#ports.config();
    const flow = flows[name]?.flow;
    return { config: this.#ports.file, name, source: flow === undefined ? undefined : resolve(base, flow) };
  }

  async #image({ recording }: RecordedMessage, which: "same" | "newest"): Promise<Image> {
    const { flow, imageSha256 } = recording;
    const newest = await this.#ports.served(flow);
    if (newest !== undefined && (which === "newest" || newest.sha256 === imageSha256)) return newest;
    const place = this.#flow(flow);
    if (which === "newest" && place.source !== undefined) return await sourceImage(place.source, flow);
    return await recordedImage(imageSha256, place);
  }

  async #loaded<T>(image: Image, use: (loaded: LoadedImage) => Promise<T>): Promise<T> {
    const { monitor } = this.#ports;
    const loaded = await monitor.load(image);
    try {
      return await use(loaded);
    } finally {
      monitor.unload(loaded);
    }
  }

  /** People look at one message at a time: each replay waits for the one before, and at most `replaysWaiting` do. */
  async #alone<T>(task: () => Promise<T>): Promise<T> {
    if (this.#waiting >= cliLimits.replaysWaiting)
      throw new CodedError("MF_REPLAY_BUSY", "replays are already waiting for each other: try again in a moment");
    this.#waiting += 1;
    const before = this.#last;
    const run = before.then(task, task).finally(() => (this.#waiting -= 1));
    this.#last = run.catch(() => undefined);
    return await run;
  }
}
