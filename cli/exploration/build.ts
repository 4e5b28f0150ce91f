/** From what an author says to a scenario: flows are built, bodies read, answers made ready. */
import { existsSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import type { CallEffect } from "#abi";
import { CodedError, fromUtf8 } from "#base";
import { type Choice, type Deed, defaultBounds, type Scenario, type Served, type Stimulus } from "#explore";
import { answered, failedCall, gatewayLimits, peersFault } from "#gateway";
import { InlineMachines } from "#monitors";
import type { AnswerSpec, BodySpec, MessageSpec } from "../flow-tests/case.ts";
import { bodyOf, headersOf, stimulusOf } from "../flow-tests/given.ts";
import { importTypeScript } from "../flow-tests/typescript.ts";
import { cachedImage } from "../images/cache.ts";
import { asDeployed, checkOutlets, type DeployedRules, deployedRules } from "../machine/deployed.ts";
import { isImagePath } from "../machine/load.ts";
import { byPrefix } from "../machine/stubs.ts";
import type { AnswerInput, BodyInput, Coming, Content, Exploration, MessageInput, SignalInput } from "./explore.d.ts";

export const explorationShape = /\.explore\.[mc]?ts$/;

/** Explorations must not depend on when they run. */
const startMs = Date.UTC(2026, 0, 1);

export interface Explorable {
  readonly scenario: Scenario;
  readonly machines: InlineMachines;
}

/** The exploration in a NAME.explore.ts, or beside the flow at `path`; undefined where the flow has none. */
export async function explorationAt(path: string): Promise<{ readonly file: string; readonly exploration: Exploration } | undefined> {
  const file = explorationShape.test(path) ? path : path.replace(/\.([mc]?ts)$/, ".explore.$1");
  if (file === path ? !existsSync(file) : !existsSync(path))
    throw new CodedError("MF_FLOW_NOT_FOUND", `there is no ${file === path ? "exploration" : "flow"} at ${path}: correct the path`);
  if (!existsSync(file)) return undefined;
  const loaded = (await importTypeScript(resolve(file))) as { readonly default?: Exploration };
  if (!Array.isArray(loaded.default?.messages))
    throw new CodedError(
      "MF_EXPLORE_INVALID",
      `${relative(process.cwd(), file)} has no exploration: \`export default explore({ messages: [ … ] })\`, with \`explore\` imported from "mayfly/explore"`,
    );
  return { file, exploration: loaded.default };
}

function specOf<Spec extends BodySpec>({ bytes, ...rest }: BodyInput): Spec {
  return (bytes === undefined ? rest : { ...rest, base64: Buffer.from(bytes).toString("base64") }) as Spec;
}

async function serve(
  machines: InlineMachines,
  name: string,
  path: string,
): Promise<{ readonly served: Served; readonly rules: DeployedRules | undefined }> {
  if (isImagePath(path)) throw new CodedError("MF_EXPLORE_INVALID", `${path} is an image: give the flow's source file`);
  if (!existsSync(path))
    throw new CodedError("MF_FLOW_NOT_FOUND", `there is no flow at ${relative(process.cwd(), path)}: correct \`flow\``);
  const { image } = await cachedImage(path);
  const rules = await deployedRules(path);
  checkOutlets(image.manifest.outlets, rules);
  const limits = rules?.limits(image.manifest.limits) ?? image.manifest.limits;
  const effects = {
    name,
    limits,
    outlets: rules?.outlets ?? image.manifest.outlets ?? undefined,
    retriesProgramErrors: rules?.retriesProgramErrors === true,
    sleepMostMs: rules?.sleepMostMs ?? gatewayLimits.sleepMostMs,
  };
  return {
    served: {
      name,
      image: machines.load(image),
      limits,
      effects,
      rules,
      callerWaits: rules?.callerWaits === true,
      earlyMs: rules?.earlySignalMs ?? gatewayLimits.earlySignalMs,
    },
    rules,
  };
}

class Builder {
  readonly machines = new InlineMachines();
  readonly #folder: string;
  readonly #exploration: Exploration;
  readonly #flows = new Map<string, { readonly served: Served; readonly rules: DeployedRules | undefined }>();

  constructor(file: string, exploration: Exploration) {
    this.#folder = dirname(resolve(file));
    this.#exploration = exploration;
  }

  async build(file: string): Promise<Scenario> {
    const { flow, flows, messages, signals = [], invariants = {}, bounds = {} } = this.#exploration;
    const own = basename(file).replace(explorationShape, ".ts");
    const paths = flows ?? { [basename(flow ?? own).replace(/\.[mc]?ts$/, "")]: flow ?? own };
    for (const [name, path] of Object.entries(paths)) this.#flows.set(name, await serve(this.machines, name, resolve(this.#folder, path)));
    const stimuli: Stimulus[] = [];
    for (const [index, message] of messages.entries()) stimuli.push(await this.#message(message, `message-${index + 1}`));
    for (const signal of signals) stimuli.push(await this.#signal(signal));
    return {
      flows: [...this.#flows.values()].map(({ served }) => served),
      stimuli,
      choices: await this.#choices(),
      routes: this.#routes(),
      invariants: Object.entries(invariants).map(([name, holds]) => ({ name, holds })),
      bounds: { ...defaultBounds, ...bounds },
      startMs,
    };
  }

  #flow(name: string | undefined): { readonly served: Served; readonly rules: DeployedRules | undefined } {
    const found = name === undefined ? [...this.#flows.values()][0] : this.#flows.get(name);
    if (found !== undefined) return found;
    throw new CodedError(
      "MF_EXPLORE_INVALID",
      `no flow is named ${JSON.stringify(name)}: the exploration has ${[...this.#flows.keys()].join(", ")}`,
    );
  }

  async #message(input: MessageInput, id: string): Promise<Stimulus> {
    const { flow, repeats = false, state, ...rest } = input;
    const { served, rules } = this.#flow(flow);
    const spec = specOf<MessageSpec>(rest);
    const made = asDeployed(await stimulusOf({ message: { id, ...spec }, ...(state === undefined ? {} : { state }) }, this.#folder), rules);
    const { key, headers, body, source } = made;
    return { kind: "message", flow: served.name, id: made.id, key, source, headers, body, state, mayRepeat: repeats };
  }

  async #signal({ flow, name, key, repeats = true, ...rest }: SignalInput): Promise<Stimulus> {
    const { served } = this.#flow(flow);
    const spec = specOf<BodySpec>(rest);
    const { bytes, contentType } = await bodyOf(spec, this.#folder);
    return { kind: "signal", flow: served.name, name, key, headers: headersOf(spec, contentType), body: bytes, mayRepeat: repeats };
  }

  async #choices(): Promise<Scenario["choices"]> {
    const outlets = await this.#answers(this.#exploration.answers);
    const fetches = await this.#answers(this.#exploration.fetch);
    return (_flow, call) => {
      const make = call.operation === "fetch" ? byPrefix(fetches, call.target) : outlets.get(call.target);
      return make === undefined ? [choiceOf({ json: {} }, Buffer.from("{}"), "application/json")] : make(call);
    };
  }

  /** Files are read now; answers that are functions say theirs when they are asked. */
  async #answers(given: Exploration["answers"]): Promise<ReadonlyMap<string, (call: CallEffect) => readonly Choice[]>> {
    const made = new Map<string, (call: CallEffect) => readonly Choice[]>();
    for (const [name, answers] of Object.entries(given ?? {})) {
      if (typeof answers === "function") {
        made.set(name, (call) => someOf(name, answers(contentOf(call.body, call.contentType, {}))).map((each) => choiceNow(each)));
        continue;
      }
      const choices: Choice[] = [];
      for (const each of someOf(name, answers)) {
        const { bytes, contentType } = await bodyOf(specOf<AnswerSpec>(each), this.#folder);
        choices.push(choiceOf(each, bytes, contentType));
      }
      made.set(name, () => choices);
    }
    return made;
  }

  #routes(): Scenario["routes"] {
    const { routes = {} } = this.#exploration;
    const known = new WeakMap<Deed, readonly Stimulus[]>();
    return (deed) => {
      const route = routes[`${deed.flow}.${deed.target}`] ?? routes[deed.target];
      if (route === undefined) return [];
      const found = known.get(deed);
      if (found !== undefined) return found;
      const coming = route({ ...contentOf(deed.body, deed.contentType, deed.headers), key: deed.key });
      const stimuli =
        coming === undefined ? [] : listOf(coming).map((each, index) => this.#coming(each, `${deed.idempotencyKey}/${index}`));
      known.set(deed, stimuli);
      return stimuli;
    };
  }

  /** A route can't wait: its bodies are at hand. */
  #coming(coming: Coming, id: string): Stimulus {
    const { served, rules } = this.#flow(coming.flow);
    const { body, contentType } = bodyNow(coming);
    const headers = headersOf(specOf<BodySpec>(coming), contentType);
    const mayRepeat = coming.repeats ?? false;
    if (coming.name !== undefined)
      return { kind: "signal", flow: served.name, name: coming.name, key: coming.key, headers, body, mayRepeat };
    const { key = undefined, source = "flow", state } = coming;
    const own = coming.id ?? id;
    const deployed = rules === undefined ? key : rules.keyOf({ id: own, key, headers, body, contentType });
    return {
      kind: "message",
      flow: served.name,
      id: own,
      key: deployed,
      source,
      headers: { ...rules?.values, ...headers },
      body,
      state,
      mayRepeat,
    };
  }
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

/** Throws MF_EXPLORE_INVALID for an empty list: a call without an answer would stop every schedule there. */
function someOf(name: string, answers: AnswerInput | readonly AnswerInput[]): readonly AnswerInput[] {
  const all = listOf(answers);
  if (all.length > 0) return all;
  throw new CodedError(
    "MF_EXPLORE_INVALID",
    `the answers of ${name} are an empty list: give at least one, or leave ${name} out for \`200 {}\` ("no answer in time" is always tried)`,
  );
}

function contentOf(bytes: Uint8Array, contentType: string, headers: Content["headers"]): Content {
  return { bytes, contentType, headers, text: () => fromUtf8(bytes), json: () => JSON.parse(fromUtf8(bytes)) as unknown };
}

function bodyNow({ json, text, bytes, file, contentType }: BodyInput): { readonly body: Uint8Array; readonly contentType: string } {
  if (file !== undefined)
    throw new CodedError("MF_EXPLORE_INVALID", "a function can't give a file: read the file first and give text or bytes");
  if (bytes !== undefined) return { body: bytes, contentType: contentType ?? "application/octet-stream" };
  if (text !== undefined) return { body: Buffer.from(text), contentType: contentType ?? "text/plain; charset=utf-8" };
  if (json === undefined) return { body: new Uint8Array(0), contentType: contentType ?? "" };
  return { body: Buffer.from(JSON.stringify(json)), contentType: contentType ?? "application/json" };
}

function choiceNow(answer: AnswerInput): Choice {
  const { body, contentType } = bodyNow(answer);
  return choiceOf(answer, body, contentType);
}

function choiceOf(answer: AnswerInput, body: Uint8Array, contentType: string): Choice {
  const { error, status = 200 } = answer;
  if (error !== undefined)
    return {
      answer: failedCall(error.code, error.message ?? "the exploration says so", peersFault),
      label: error.code,
      isDisturbance: false,
    };
  const headers = headersOf(specOf<BodySpec>(answer), contentType);
  return { answer: answered({ status, contentType: "", headers, body }), label: String(status), isDisturbance: false };
}

/** Throws MF_EXPLORE_INVALID, and what building a flow throws. */
export async function explorableOf(file: string, exploration: Exploration): Promise<Explorable> {
  const builder = new Builder(file, exploration);
  return { scenario: await builder.build(file), machines: builder.machines };
}
