/** Which of the gateway's endpoints there are: buttons of the others are not shown. */
import { signal } from "@preact/signals";
import { offers } from "./client.ts";

const endpoints = {
  messages: ["GET", "/api/messages"],
  resubmit: ["POST", "/api/messages/x/resubmit"],
  replay: ["POST", "/api/messages/x/replay"],
  flowTest: ["GET", "/api/messages/x/flow-test"],
  pauseFlow: ["POST", "/api/flows/x/pause"],
  drainFlow: ["POST", "/api/flows/x/drain"],
  pauseOutlet: ["POST", "/api/flows/x/outlets/x/pause"],
  purge: ["POST", "/api/flows/x/purge"],
  images: ["GET", "/api/images"],
  sleepers: ["GET", "/api/sleepers"],
  answers: ["POST", "/api/sleepers/x/answer"],
  previews: ["POST", "/api/sleepers/x/preview"],
  functions: ["GET", "/api/functions"],
  build: ["POST", "/api/functions/x/build"],
  rollback: ["POST", "/api/flows/x/rollback"],
} as const;

export type Offer = keyof typeof endpoints;

const found = signal<ReadonlySet<Offer> | undefined>(undefined);

export function offered(name: Offer): boolean {
  return found.value?.has(name) === true;
}

/** False until the gateway was asked. */
export function isKnown(): boolean {
  return found.value !== undefined;
}

export async function findOffers(): Promise<void> {
  const names = Object.keys(endpoints) as Offer[];
  const answers = await Promise.all(names.map((name) => offers(endpoints[name][1], endpoints[name][0])));
  found.value = new Set(names.filter((_, index) => answers[index]));
}
