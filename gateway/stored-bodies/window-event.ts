/** The answer to a read of a stored body: its bytes are let go of once the machine has them, and read again if it is run again. */
import type { ResolveEvent, StoredWindow } from "#abi";

export class WindowEvent implements ResolveEvent {
  readonly kind = "resolve";
  readonly timeMs: number;
  readonly call: number;
  readonly error: undefined;
  readonly status: number;
  readonly headersJson: string;
  readonly window: StoredWindow;
  readonly #read: (window: StoredWindow) => Uint8Array;
  #body: Uint8Array | undefined;

  /** `body`: absent where it is not in memory. `read` gives it again; what it throws is the machine's end. */
  constructor(event: ResolveEvent, read: (window: StoredWindow) => Uint8Array, body?: Uint8Array) {
    const { timeMs, call, status, headersJson, window } = event;
    this.timeMs = timeMs;
    this.call = call;
    this.status = status;
    this.headersJson = headersJson;
    this.window = window as StoredWindow;
    this.#read = read;
    this.#body = body;
  }

  get body(): Uint8Array {
    return this.#body ?? this.#read(this.window);
  }

  release(): void {
    this.#body = undefined;
  }
}

const noBytes = new Uint8Array(0);

/** The event as it is kept: of a window only its place. */
export function withoutWindow<E extends { readonly kind: string }>(event: E): E | ResolveEvent {
  if (!(event instanceof WindowEvent)) return event;
  const { kind, timeMs, call, error, status, headersJson, window } = event;
  return { kind, timeMs, call, error, status, headersJson, window, body: noBytes };
}
