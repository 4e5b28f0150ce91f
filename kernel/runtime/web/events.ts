/** The part `events`: Event, EventTarget, AbortController and AbortSignal (DOM Standard), as far as they go without a document. */
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";

const { uncaught } = kernel;
const { performance } = globalThis as unknown as { readonly performance: { now(): number } };

export interface EventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly composed?: boolean;
}

/** The steps of dispatching an event, which only EventTarget may take. */
let begin: (event: Event, target: EventTarget) => void;
let finish: (event: Event) => void;
let isStopped: (event: Event) => boolean;
let listen: (event: Event, passive: boolean) => void;
/** Says that an event comes from the machine itself, or that it does not. */
let trust: (event: Event, trusted: boolean) => Event;
let isTrusted: (event: Event) => boolean;
/** Dispatches an event of the machine's own, whatever the flow has put in place of `dispatchEvent`. */
let dispatch: (target: EventTarget, event: Event) => boolean;

/** Every event has this property of its own, and none can be given another (Web IDL, [LegacyUnforgeable]). */
const trustedProperty: PropertyDescriptor & ThisType<Event> = {
  get() {
    return isTrusted(this);
  },
  enumerable: true,
  configurable: false,
};

export class Event {
  readonly #type: string;
  readonly #init: EventInit;
  readonly #timeStamp = performance.now();
  #target: EventTarget | null = null;
  #currentTarget: EventTarget | null = null;
  #prevented = false;
  #stopped = false;
  #propagationStopped = false;
  #passive = false;
  #trusted = false;
  declare readonly isTrusted: boolean;

  static {
    begin = (event, target) => {
      if (event.#currentTarget !== null) throw new DOMException("the event is being dispatched already", "InvalidStateError");
      event.#target = target;
      event.#currentTarget = target;
    };
    finish = (event) => {
      event.#currentTarget = null;
      event.#stopped = false;
      event.#propagationStopped = false;
    };
    isStopped = (event) => event.#stopped;
    listen = (event, passive) => void (event.#passive = passive);
    isTrusted = (event) => event.#trusted;
    trust = (event, trusted) => {
      event.#trusted = trusted;
      return event;
    };
    for (const [name, value] of Object.entries({ NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 })) {
      Object.defineProperty(Event, name, { value, enumerable: true });
      Object.defineProperty(Event.prototype, name, { value, enumerable: true });
    }
  }

  constructor(type: string, init: EventInit = {}) {
    if (arguments.length === 0) throw new TypeError("Event: a type is needed");
    Object.defineProperty(this, "isTrusted", trustedProperty);
    this.#type = `${type}`;
    this.#init = { bubbles: Boolean(init?.bubbles), cancelable: Boolean(init?.cancelable), composed: Boolean(init?.composed) };
  }

  get type(): string {
    return this.#type;
  }

  get target(): EventTarget | null {
    return this.#target;
  }

  get srcElement(): EventTarget | null {
    return this.#target;
  }

  get currentTarget(): EventTarget | null {
    return this.#currentTarget;
  }

  composedPath(): EventTarget[] {
    return this.#currentTarget === null ? [] : [this.#currentTarget];
  }

  get eventPhase(): number {
    return this.#currentTarget === null ? 0 : 2;
  }

  get bubbles(): boolean {
    return this.#init.bubbles === true;
  }

  get cancelable(): boolean {
    return this.#init.cancelable === true;
  }

  get composed(): boolean {
    return this.#init.composed === true;
  }

  get defaultPrevented(): boolean {
    return this.#prevented;
  }

  get returnValue(): boolean {
    return !this.#prevented;
  }

  set returnValue(value: boolean) {
    if (!value) this.preventDefault();
  }

  get cancelBubble(): boolean {
    return this.#propagationStopped;
  }

  set cancelBubble(value: boolean) {
    if (value) this.stopPropagation();
  }

  get timeStamp(): number {
    return this.#timeStamp;
  }

  preventDefault(): void {
    if (this.cancelable && !this.#passive) this.#prevented = true;
  }

  stopPropagation(): void {
    this.#propagationStopped = true;
  }

  stopImmediatePropagation(): void {
    this.#propagationStopped = true;
    this.#stopped = true;
  }
}

export class CustomEvent<T = unknown> extends Event {
  readonly #detail: T;

  constructor(type: string, init: EventInit & { readonly detail?: T } = {}) {
    super(type, init);
    this.#detail = (init.detail ?? null) as T;
  }

  get detail(): T {
    return this.#detail;
  }
}

export type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

interface Listening {
  readonly type: string;
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

export interface ListenerOptions {
  readonly once?: boolean;
  readonly capture?: boolean;
  readonly passive?: boolean;
  readonly signal?: AbortSignal;
}

export class EventTarget {
  #listening: Listening[] = [];

  addEventListener(type: string, listener: Listener | null, options?: ListenerOptions | boolean): void {
    const capture = typeof options === "object" && options !== null ? Boolean(options.capture) : Boolean(options);
    const details = typeof options === "object" && options !== null ? options : undefined;
    const { once, passive, signal } = { once: Boolean(details?.once), passive: Boolean(details?.passive), signal: details?.signal };
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("addEventListener: the signal is no AbortSignal");
    if (listener === null || listener === undefined || signal?.aborted === true) return;
    const name = `${type}`;
    if (this.#listening.some((known) => known.type === name && known.listener === listener && known.capture === capture)) return;
    this.#listening = [...this.#listening, { type: name, listener, capture, once, passive, removed: false }];
    signal?.addEventListener("abort", () => this.removeEventListener(name, listener, capture), { once: true });
  }

  removeEventListener(type: string, listener: Listener | null, options?: ListenerOptions | boolean): void {
    const capture = typeof options === "object" && options !== null ? Boolean(options.capture) : Boolean(options);
    const name = `${type}`;
    const gone = this.#listening.find((known) => known.type === name && known.listener === listener && known.capture === capture);
    if (gone === undefined) return;
    gone.removed = true;
    this.#listening = this.#listening.filter((known) => known !== gone);
  }

  static {
    dispatch = (target, event) => target.#dispatch(event);
  }

  dispatchEvent(event: Event): boolean {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent needs an Event");
    if (event.eventPhase === 0) trust(event, false);
    return this.#dispatch(event);
  }

  #dispatch(event: Event): boolean {
    begin(event, this);
    // Captured ones first: at its target an event has both phases (DOM, §2.9).
    for (const capture of [true, false]) {
      for (const known of this.#listening) {
        if (known.capture !== capture || known.type !== event.type || known.removed) continue;
        if (known.once) this.removeEventListener(known.type, known.listener, known.capture);
        listen(event, known.passive);
        this.#callListener(known.listener, event);
        listen(event, false);
        if (isStopped(event)) break;
      }
      if (isStopped(event) || event.cancelBubble) break;
    }
    finish(event);
    return !event.defaultPrevented;
  }

  #callListener(listener: Listener, event: Event): void {
    try {
      if (typeof listener === "function") listener.call(this, event);
      else {
        const handler = listener.handleEvent as unknown;
        if (typeof handler !== "function") throw new TypeError("a listener is a function, or has a function handleEvent");
        (handler as (event: Event) => unknown).call(listener, event);
      }
    } catch (error) {
      uncaught(error);
    }
  }
}

/** Only the classes of this module make signals and abort them. */
const secret = Symbol("abort");

let abortSignal: (signal: AbortSignal, reason: unknown) => void;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #onabort: ((event: Event) => unknown) | null = null;
  #handles: ((event: Event) => unknown) | undefined;
  /** Signals made of this one by `any`. */
  readonly #dependent: AbortSignal[] = [];
  /** Signals this one was made of, those that depend on others replaced by them. */
  #sources: readonly AbortSignal[] = [];

  static {
    abortSignal = (signal, reason) => {
      if (signal.#aborted) return;
      const error = reason === undefined ? new DOMException("the operation was aborted", "AbortError") : reason;
      // All are aborted before any of them tells its listeners (DOM, §3.2.3).
      const all = [signal, ...signal.#dependent.filter((each) => !each.#aborted)];
      for (const each of all) {
        each.#aborted = true;
        each.#reason = error;
      }
      for (const each of all) dispatch(each, trust(new Event("abort"), true));
    };
  }

  constructor(key?: symbol) {
    super();
    if (key !== secret) throw new TypeError("an AbortSignal is made by an AbortController, AbortSignal.timeout() or AbortSignal.any()");
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  get onabort(): ((event: Event) => unknown) | null {
    return this.#onabort;
  }

  /** A handler keeps the place among the listeners that it had when it was first set (HTML, §8.1.8.1). */
  set onabort(handler: ((event: Event) => unknown) | null) {
    this.#onabort = typeof handler === "function" ? handler : null;
    if (this.#onabort === null || this.#handles !== undefined) return;
    this.#handles = (event) => this.#onabort?.call(this, event);
    this.addEventListener("abort", this.#handles);
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(secret);
    abortSignal(signal, reason);
    return signal;
  }

  static timeout(delay: number): AbortSignal {
    const signal = new AbortSignal(secret);
    kernel.setTimeout(
      () => abortSignal(signal, new DOMException("the operation timed out", "TimeoutError")),
      kernel.milliseconds(delay, "AbortSignal.timeout"),
    );
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const signal = new AbortSignal(secret);
    const given = [...signals];
    if (!given.every((each) => each instanceof AbortSignal)) throw new TypeError("AbortSignal.any needs signals");
    const aborted = given.find((each) => each.#aborted);
    if (aborted !== undefined) {
      signal.#aborted = true;
      signal.#reason = aborted.#reason;
      return signal;
    }
    signal.#sources = [...new Set(given.flatMap((each) => (each.#sources.length > 0 ? each.#sources : [each])))];
    for (const source of signal.#sources) source.#dependent.push(signal);
    return signal;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }
}

export class AbortController {
  readonly #signal: AbortSignal = new AbortSignal(secret);

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    abortSignal(this.#signal, reason);
  }
}

/** The signal of the message, made when somebody first looks at it. */
let messageController: AbortController | undefined;

kernel.onSignal({
  get: () => (messageController ??= new AbortController()).signal,
  abort: (reason) => messageController?.abort(reason),
});

for (const [name, constructor] of Object.entries({ Event, CustomEvent, EventTarget, AbortSignal, AbortController }))
  expose(name, constructor);
