/** Calls: requests whose answers the flow awaits. */
import { hardLimits } from "../../abi/limits.ts";
import type { Answer as PublicAnswer } from "./api.d.ts";
import { Content } from "./content.ts";
import { heldBack, requireEffect } from "./effects.ts";
import { checkLength, FlowError, placeOfCaller } from "./errors.ts";
import { write } from "./log.ts";
import { native } from "./machine.ts";
import { callEffect, resolvePart, warnLevel } from "./wire.ts";

type Resolve = (answer: Answer) => void;
type Reject = (error: unknown) => void;

/** The answer to a call. */
export class Answer extends Content implements PublicAnswer {
  readonly status: number;

  constructor(status: number) {
    super();
    this.status = status;
  }

  protected get bodyPart(): number {
    return resolvePart.body;
  }

  protected get headersPart(): number {
    return resolvePart.headers;
  }

  /** True for a status from 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  protected get what(): string {
    return "the answer";
  }

  protected refusal(sentence: string, cause: unknown): FlowError {
    return new FlowError("MF_RESPONSE_INVALID", sentence, true, 0, cause);
  }

  toJSON(): object {
    return { status: this.status, headers: this.shownHeaders, bytes: this.bytes.length };
  }
}

/** Where each call was made, for one that nobody waits for. */
const places: (string | undefined)[] = [];

/** Says of the calls that are still open that nobody will see their answers: the flow has completed. */
export function reportOpenCalls(): void {
  if (openCalls === 0) return;
  const at = places.filter((_place, number) => settlers[2 * number] !== undefined);
  write(
    warnLevel,
    `the flow completed while ${at.length === 1 ? "a request was" : `${at.length} requests were`} open, so the answer is lost: await requests before you return`,
    { at: at.slice(0, 8) },
  );
}

/** Settlers of the open calls, two to a call: resolve at 2·n, reject at 2·n + 1. */
const settlers: (Resolve | Reject | undefined)[] = [];
let made = 0;
export let openCalls = 0;
/** The answer brought by the current event, if any. */
let current: Answer | undefined;

let capturedResolve: Resolve;
let capturedReject: Reject;

/** One executor for every promise of a call: no closure for each. */
function capture(resolve: Resolve, reject: Reject): void {
  capturedResolve = resolve;
  capturedReject = reject;
}

/** The number of the call made last. */
export function lastCall(): number {
  return made - 1;
}

export function call(
  operation: number,
  target: string,
  method: string,
  contentType: string,
  headers: string,
  timeoutMs: number,
  body: string | Uint8Array,
): Promise<Answer> {
  checkLength(target, hardLimits.headersBytes, "the target of a call");
  checkLength(method, hardLimits.nameBytes, "the method of a call");
  checkLength(contentType, hardLimits.nameBytes, "the content type of a call");
  checkLength(headers, hardLimits.headersBytes, "the headers of a call");
  if (heldBack !== undefined) return heldBack();
  requireEffect();
  native.emit(callEffect, made, operation, target, method, contentType, headers, timeoutMs, body);
  made++;
  openCalls++;
  const promise = new Promise<Answer>(capture);
  settlers.push(capturedResolve, capturedReject);
  places.push(placeOfCaller());
  return promise;
}

/** A `resolve` event. The answer to a call the flow gave up is dropped. */
export function onResolve(): void {
  const index = 2 * native.number(resolvePart.call);
  const resolve = settlers[index] as Resolve | undefined;
  if (resolve === undefined) return;
  const reject = settlers[index + 1] as Reject;
  settlers[index] = undefined;
  settlers[index + 1] = undefined;
  openCalls--;
  const code = native.text(resolvePart.errorCode);
  if (code !== undefined) {
    const error = new FlowError(code, native.text(resolvePart.errorMessage) ?? "");
    // Its own stack is the kernel's: the flow's part in it is where it asked.
    const place = places[native.number(resolvePart.call)];
    if (place !== undefined) error.stack = `    ${place}\n`;
    reject(error);
    return;
  }
  resolve((current = new Answer(native.number(resolvePart.status))));
}

/** Gives up a call: its promise is rejected, and its answer will be dropped. */
export function abandonCall(number: number, reason: unknown): void {
  const reject = settlers[2 * number + 1] as Reject | undefined;
  if (reject === undefined) return;
  settlers[2 * number] = undefined;
  settlers[2 * number + 1] = undefined;
  openCalls--;
  reject(reason);
}

export function abandonCalls(reason: unknown): void {
  for (let number = 0; number < made; number++) abandonCall(number, reason);
}

/** Takes the current answer out of its event, which is about to go. */
export function holdAnswer(): void {
  current?.hold();
  current = undefined;
}
