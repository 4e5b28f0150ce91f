/** Carries out the calls of a running flow: a request to an outlet, a fetch, a read of the state under another key. */
import type { CallEffect, Headers } from "#abi";
import { type Clock, toUtf8 } from "#base";
import type { Dispatcher } from "undici";
import { gatewayLimits } from "../../contract/limits.ts";
import type { GatewayMemory } from "../../contract/memory.ts";
import { causes, type Tracing, withTrace } from "../../contract/tracing.ts";
import { storedBodyOf } from "../../contract/stored-body.ts";
import type { Journal } from "../../journal/journal.ts";
import type { BodyStore } from "../../stored-bodies/store.ts";
import type { OutletChannel } from "../outbox/outlet-channel.ts";
import type { MessageIds } from "../seeds.ts";
import {
  answered,
  type CallAnswer,
  checkedFetch,
  checkedRequest,
  failedCall,
  failedWith,
  fetchTimedOut,
  flowsFault,
  gatewaysFault,
  noBody,
  peersFault,
} from "./answer.ts";
import type { CallOrigin, PerformCall } from "./attempt.ts";
import { type HostPattern } from "../../contract/hosts.ts";
import { fetchDeclared } from "./fetch.ts";

export interface CallPorts {
  readonly ids: MessageIds;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly agent: Dispatcher;
  readonly memory: GatewayMemory;
  readonly tracing: Tracing;
  readonly bodyStore: Pick<BodyStore, "window"> | undefined;
  /** As of now: a reload changes them. */
  readonly channels: () => ReadonlyMap<string, { readonly channel: OutletChannel }>;
  readonly hosts: () => readonly HostPattern[];
}

export function callPerformer(ports: CallPorts): PerformCall {
  return async (origin, call, signal) => {
    try {
      if (call.operation === "fetch") return await fetchFor(ports, origin, call, signal);
      if (call.operation === "request") return await requestFor(ports, origin, call, signal);
      if (call.operation === "window") return await windowFor(ports, origin, call);
      return await stateFor(ports, origin, call);
    } catch (error) {
      return failedWith(error, call.operation === "state" || call.operation === "window" ? gatewaysFault : peersFault);
    }
  };
}

async function fetchFor(ports: CallPorts, origin: CallOrigin, call: CallEffect, signal: AbortSignal): Promise<CallAnswer> {
  const { name } = origin.flow;
  const hosts = ports.hosts();
  const checked = checkedFetch(call, { name, hosts });
  if ("refused" in checked) return checked.refused;
  const headers = call.contentType === "" ? checked.headers : { ...checked.headers, "content-type": call.contentType };
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal.addEventListener("abort", abort, { once: true });
  const timeoutMs = call.timeoutMs > 0 ? call.timeoutMs : gatewayLimits.outletTimeoutMs;
  let late = false;
  const cancel = ports.clock.after(timeoutMs, () => {
    late = true;
    abort();
  });
  try {
    return answered(
      await fetchDeclared(ports.agent, hosts, {
        flow: name,
        url: call.target,
        method: call.method,
        headers: traced(ports, origin, call, headers),
        body: call.body,
        signal: controller.signal,
        memory: ports.memory.answers,
      }),
    );
  } catch (error) {
    return late ? fetchTimedOut(call.target, timeoutMs) : failedWith(error, peersFault);
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
  }
}

async function requestFor(ports: CallPorts, origin: CallOrigin, call: CallEffect, signal: AbortSignal): Promise<CallAnswer> {
  const { flow, work } = origin;
  const { id, key, headers, correlationId } = work.message;
  const channels = ports.channels();
  const checked = checkedRequest(call, { name: flow.name, outlets: [...channels.keys()] }, headers);
  if ("refused" in checked) return checked.refused;
  const request = {
    messageId: id,
    flow: flow.name,
    outlet: call.target,
    key,
    contentType: call.contentType,
    headers: withHops(origin, traced(ports, origin, call, checked.headers)),
    body: call.body,
    correlationId,
    timeMs: ports.clock.now(),
    method: call.method,
  };
  const { channel } = channels.get(call.target) as { readonly channel: OutletChannel }; // checked above
  return answered(await channel.request(request, idempotencyKeyOf(ports, origin, call), call.timeoutMs, signal));
}

async function stateFor({ journal }: CallPorts, { flow }: CallOrigin, { target }: CallEffect): Promise<CallAnswer> {
  const { json } = await journal.readState(flow.name, target);
  const body = json === undefined ? noBody : toUtf8(json);
  return { error: undefined, status: 200, headersJson: '{"content-type":"application/json"}', body };
}

/** A piece of the message's own stored body: a machine names an offset and no body. */
async function windowFor({ bodyStore }: CallPorts, { work }: CallOrigin, { target }: CallEffect): Promise<CallAnswer> {
  const storedBody = storedBodyOf(work.message.headers);
  if (storedBody === undefined || bodyStore === undefined)
    return failedCall("MF_CLAIM_MISSING", "the message has no stored body: send it again", gatewaysFault);
  const offset = /^\d{1,15}$/.test(target) ? Number(target) : storedBody.bytes;
  if (offset >= storedBody.bytes)
    return failedCall(
      "MF_WINDOW_INVALID",
      `a read of the stored body at ${target.slice(0, 32)}: it has ${storedBody.bytes} bytes`,
      flowsFault,
    );
  const body = await bodyStore.window(storedBody, offset);
  return { error: undefined, status: 200, headersJson: "{}", body, window: { sha256: storedBody.sha256, offset, bytes: body.length } };
}

/**
 * The same for every attempt at this call of this message. Nobody can make it before the message does: a sender chooses the id, and not
 * the journal's number, which a message in the journal keeps over restarts, or the random part another gets.
 */
function idempotencyKeyOf({ ids }: CallPorts, { flow, work }: CallOrigin, { call }: CallEffect): string {
  const part = work.lease?.durable === true ? String(work.lease.sequence) : (work.nonce ??= ids.next());
  return `${flow.name}/${work.message.id}/${part}/call/${call}`;
}

function traced({ tracing }: CallPorts, { work, startedMs }: CallOrigin, { call }: CallEffect, headers: Headers): Headers {
  return withTrace(tracing, headers, work.message.headers, causes.call(startedMs, call));
}

/** The count of flows a message has passed through is the gateway's: a flow can't reset it. */
function withHops({ work }: CallOrigin, headers: Headers): Headers {
  const hops = work.message.headers["mayfly-hops"];
  return hops === undefined ? headers : { ...headers, "mayfly-hops": hops };
}
