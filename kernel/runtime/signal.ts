/** The signal of the message, which the part `events` makes. Flows that do not mention signals have none of it in their image. */

interface SignalMaker {
  get(): object;
  abort(reason: unknown): void;
}

let maker: SignalMaker | undefined;

export function onSignal(value: SignalMaker): void {
  maker = value;
}

export function messageSignal(): object | undefined {
  return maker?.get();
}

export function abortMessage(reason: unknown): void {
  maker?.abort(reason);
}
