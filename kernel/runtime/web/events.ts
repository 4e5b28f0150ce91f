/** The part `events`: Event, EventTarget, AbortController and AbortSignal (DOM Standard), as far as they go without a document. */
import { kernel } from "../link.ts";

const { uncaught } = kernel;

export interface EventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly composed?: boolean;
}

export class Event {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly composed: boolean;
  readonly timeStamp: number = Date.now();
  target: EventTarget | null = null;
  currentTarget: EventTarget | null = null;
  defaultPrevented = false;
  /** Set by stopImmediatePropagation. */
  stopped = false;

  constructor(type: string, init?: EventInit) {
    this.type = String(type);
    this.bubbles = init?.bubbles === true;
    this.cancelable = init?.cancelable === true;
    this.composed = init?.composed === true;
  }

  preventDefault(): void {
    if (this.cancelable) this.defaultPrevented = true;
  }

  stopPropagation(): void {}

  stopImmediatePropagation(): void {
    this.stopped = true;
  }
}

export class CustomEvent<T = unknown> extends Event {
  readonly detail: T;

  constructor(type: string, init?: EventInit & { readonly detail?: T }) {
    super(type, init);
    this.detail = (init?.detail ?? null) as T;
  }
}

export type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

interface Listening {
  readonly type: string;
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
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
    if (listener === null || listener === undefined) return;
    const capture = typeof options === "boolean" ? options : options?.capture === true;
    const details = typeof options === "object" ? options : undefined;
    if (details?.signal?.aborted === true) return;
    if (this.#listening.some((known) => known.type === type && known.listener === listener && known.capture === capture)) return;
    this.#listening = [...this.#listening, { type, listener, capture, once: details?.once === true, removed: false }];
    details?.signal?.addEventListener("abort", () => this.removeEventListener(type, listener, capture));
  }

  removeEventListener(type: string, listener: Listener | null, options?: ListenerOptions | boolean): void {
    const capture = typeof options === "boolean" ? options : options?.capture === true;
    const gone = this.#listening.find((known) => known.type === type && known.listener === listener && known.capture === capture);
    if (gone === undefined) return;
    gone.removed = true;
    this.#listening = this.#listening.filter((known) => known !== gone);
  }

  dispatchEvent(event: Event): boolean {
    event.target = this;
    event.currentTarget = this;
    for (const known of this.#listening) {
      if (known.type !== event.type || known.removed) continue;
      if (known.once) this.removeEventListener(known.type, known.listener, known.capture);
      try {
        if (typeof known.listener === "function") known.listener.call(this, event);
        else known.listener.handleEvent(event);
      } catch (error) {
        uncaught(error);
      }
      if (event.stopped) break;
    }
    event.currentTarget = null;
    return !event.defaultPrevented;
  }
}

/** Only the classes of this module make signals and abort them. */
const secret = Symbol("abort");

export class AbortSignal extends EventTarget {
  aborted = false;
  reason: unknown = undefined;
  onabort: ((event: Event) => unknown) | null = null;

  constructor(key?: symbol) {
    super();
    if (key !== secret) throw new TypeError("an AbortSignal is made by an AbortController, AbortSignal.timeout() or AbortSignal.any()");
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(secret);
    signal[secret](reason);
    return signal;
  }

  static timeout(delay: number): AbortSignal {
    const signal = new AbortSignal(secret);
    kernel.setTimeout(
      () => signal[secret](new DOMException("the operation timed out", "TimeoutError")),
      kernel.milliseconds(delay, "AbortSignal.timeout"),
    );
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const signal = new AbortSignal(secret);
    for (const source of signals) {
      if (source.aborted) {
        signal[secret](source.reason);
        break;
      }
      source.addEventListener("abort", () => signal[secret](source.reason), { once: true });
    }
    return signal;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  [secret](reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason === undefined ? new DOMException("the operation was aborted", "AbortError") : reason;
    const event = new Event("abort");
    if (this.onabort !== null) {
      try {
        this.onabort(event);
      } catch (error) {
        uncaught(error);
      }
    }
    this.dispatchEvent(event);
  }
}

export class AbortController {
  readonly signal: AbortSignal = new AbortSignal(secret);

  abort(reason?: unknown): void {
    this.signal[secret](reason);
  }
}

/** The signal of the message, made when somebody first looks at it. */
let messageController: AbortController | undefined;

kernel.onSignal({
  get: () => (messageController ??= new AbortController()).signal,
  abort: (reason) => messageController?.abort(reason),
});

const globals = { Event, CustomEvent, EventTarget, AbortSignal, AbortController };
for (const [name, value] of Object.entries(globals)) kernel.define(name, value);
