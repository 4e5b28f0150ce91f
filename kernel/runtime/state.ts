/** Keyed state: values that outlive the message, kept by the gateway under the message's key. */
import { hardLimits } from "../../abi/limits.ts";
import type { State as PublicState } from "./api.d.ts";
import { call } from "./calls.ts";
import { requireEffect } from "./effects.ts";
import { checkLength, FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { message } from "./message.ts";
import { deliverPart, stateEffect, stateOperation } from "./wire.ts";

type Values = Record<string, unknown>;

/** Read on first touch. What a flow gets from it is its own: changing it changes nothing but by `set`. */
let values: Values | undefined;
/** The state as it came, when the event that brought it has gone before anybody asked for it. */
let held: string | undefined;
let isHeld = false;

function load(): Values {
  if (values !== undefined) return values;
  const parsed = isHeld ? (held === undefined ? undefined : JSON.parse(held)) : native.json(deliverPart.state);
  if (parsed === undefined && message.key === undefined) {
    throw new FlowError(
      "MF_STATE_NO_KEY",
      "the message has no key to keep state under: set the flow's `key` in mayfly.yaml to a value that every message has",
      false,
    );
  }
  values = Object.setPrototypeOf(typeof parsed === "object" && parsed !== null ? parsed : {}, null) as Values;
  return values;
}

/** Takes the state out of the current event, which is about to go. */
export function holdState(): void {
  if (isHeld || values !== undefined) return;
  held = native.text(deliverPart.state);
  isHeld = true;
}

/** The state as a `resume` event brings it: others may have changed it while the machine slept. */
export function renewState(json: string | undefined): void {
  values = undefined;
  held = json;
  isHeld = true;
}

class State implements PublicState {
  get<T = unknown>(name: string): T | undefined {
    return load()[name] as T | undefined;
  }

  has(name: string): boolean {
    return name in load();
  }

  entries(): [string, unknown][] {
    return Object.entries(load());
  }

  set(name: string, value: unknown): void {
    const all = load();
    checkLength(name, hardLimits.nameBytes, "the name of a state");
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch (error) {
      throw new FlowError(
        "MF_STATE_UNSERIALISABLE",
        `state ${JSON.stringify(name)} can't be written as JSON: ${error instanceof Error ? error.message : String(error)}`,
        false,
        0,
        error,
      );
    }
    if (json === undefined)
      throw new FlowError(
        "MF_STATE_UNSERIALISABLE",
        `state ${JSON.stringify(name)} can't be written as JSON: use delete() to remove it`,
        false,
      );
    requireEffect();
    native.emit(stateEffect, name, json);
    all[name] = JSON.parse(json);
  }

  delete(name: string): void {
    const all = load();
    if (!(name in all)) return;
    requireEffect();
    native.emit(stateEffect, name, undefined);
    delete all[name];
  }

  /** The state kept under another key, as it is now. */
  async read(key: string): Promise<Values> {
    const answer = await call(stateOperation, checkLength(String(key), hardLimits.keyBytes, "the key of a state"), "", "", "{}", 0, "");
    const parsed = answer.bytes.length === 0 ? {} : answer.json<object>();
    return Object.setPrototypeOf(typeof parsed === "object" && parsed !== null ? parsed : {}, null);
  }
}

export const state: State = new State();
