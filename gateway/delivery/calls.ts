/** Carries out what a running flow asks for: an outlet's answer, a fetch, the state under another key. Never rejects. */
import { type CallEffect, hardLimits, type Headers, type ResolveEvent } from "#abi";
import { type Clock, isCoded, toUtf8 } from "#base";
import type { Agent } from "undici";
import type { Journal } from "../journal/journal.ts";
import { isUnreached } from "../contract/http/exchange.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { isHeaderValue } from "../contract/http/headers.ts";
import type { FailureOrigin } from "../contract/message.ts";
import { OutletError } from "../contract/outlet.ts";
import { fetchDeclared, type HostPattern } from "./fetch.ts";
import { parseHeaders, sentHeaders } from "./headers.ts";
import type { OutletChannel } from "./outlet-channel.ts";
import type { Run } from "./run.ts";
import type { MessageIds } from "./seeds.ts";

/** Whose fault a failed call is, and the status a caller gets whose flow does not handle it. */
export interface Blame {
  readonly origin: FailureOrigin;
  readonly status: number;
  /** The peer was not reached: waiting helps, and uses up no attempt. */
  readonly unreached?: boolean;
}

/** `blame` stays in the gateway. */
export type CallAnswer = Omit<ResolveEvent, "kind" | "timeMs" | "call"> & { readonly blame?: Blame };

export interface CallPorts {
  readonly ids: MessageIds;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly agent: Agent;
  readonly memory: GatewayMemory;
  /** As of now: a reload changes them. */
  readonly channel: (outlet: string) => OutletChannel | undefined;
  readonly hosts: () => readonly HostPattern[];
}

const noBody = new Uint8Array(0);

const flowsFault: Blame = { origin: "flow", status: 0 };
const peersFault: Blame = { origin: "peer", status: 0 };
const gatewaysFault: Blame = { origin: "gateway", status: 0 };

function failed(code: string, message: string, blame: Blame): CallAnswer {
  return { error: { code: code.slice(0, 64), message: message.slice(0, 4096) }, status: 0, headersJson: "{}", body: noBody, blame };
}

function failedWith(error: unknown, otherwise: Blame): CallAnswer {
  const blame =
    error instanceof OutletError
      ? { origin: error.origin, status: error.callerStatus, unreached: error.unreached }
      : { ...otherwise, unreached: isUnreached(error) };
  if (isCoded(error)) return failed(error.code, error.message, blame);
  const code = (error as { code?: unknown } | undefined)?.code;
  return failed(
    "MF_FETCH_FAILED",
    `${typeof code === "string" ? `${code}: ` : ""}${error instanceof Error ? error.message : String(error)}`,
    blame,
  );
}

function answered(answer: {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}): CallAnswer {
  if (answer.body.length > gatewayLimits.answerBytes)
    return failed(
      "MF_ANSWER_LIMIT",
      `the answer has ${answer.body.length} bytes, more than ${gatewayLimits.answerBytes}: request less`,
      peersFault,
    );
  const headers = answer.contentType === "" ? answer.headers : { ...answer.headers, "content-type": answer.contentType };
  const headersJson = JSON.stringify(headers);
  if (headersJson.length * 3 > hardLimits.headersBytes && Buffer.byteLength(headersJson) > hardLimits.headersBytes)
    return failed("MF_ANSWER_LIMIT", `the answer's headers have more than ${hardLimits.headersBytes} bytes`, peersFault);
  return { error: undefined, status: answer.status, headersJson, body: answer.body };
}

export function callPerformer(ports: CallPorts): (run: Run, call: CallEffect, signal: AbortSignal) => Promise<CallAnswer> {
  const fetchFor = async (run: Run, call: CallEffect, signal: AbortSignal): Promise<CallAnswer> => {
    const headers = parseHeaders(call.headersJson, isHeaderValue);
    if (typeof headers === "string") return failed("MF_HEADER_INVALID", `fetch: ${headers}`, flowsFault);
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
      const withType = call.contentType === "" ? headers : { ...headers, "content-type": call.contentType };
      return answered(
        await fetchDeclared(ports.agent, ports.hosts(), {
          flow: run.flow.name,
          url: call.target,
          method: call.method,
          headers: withTrace(run, withType),
          body: call.body,
          signal: controller.signal,
          memory: ports.memory.answers,
        }),
      );
    } catch (error) {
      if (!late) return failedWith(error, peersFault);
      return failed("MF_FETCH_TIMEOUT", `no answer within ${timeoutMs} ms from ${call.target.slice(0, 200)}`, {
        origin: "peer",
        status: 504,
      });
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
    }
  };

  const requestFor = async (run: Run, call: CallEffect, signal: AbortSignal): Promise<CallAnswer> => {
    const { message } = run.work;
    const channel = ports.channel(call.target);
    if (channel === undefined)
      return failed(
        "MF_OUTLET_UNKNOWN",
        `the flow ${run.flow.name} has no outlet ${JSON.stringify(call.target)} in mayfly.yaml: add it under flows.${run.flow.name}.to`,
        flowsFault,
      );
    const sent = sentHeaders(call.headersJson, call.body, message.headers);
    if ("code" in sent) return failed(sent.code, `request to ${call.target}: ${sent.problem}`, flowsFault);
    const request = {
      messageId: message.id,
      flow: run.flow.name,
      outlet: call.target,
      key: message.key,
      contentType: call.contentType,
      headers: withHops(run, withTrace(run, sent.headers)),
      body: call.body,
      correlationId: message.correlationId,
      timeMs: ports.clock.now(),
      method: call.method,
    };
    return answered(await channel.request(request, keyOf(run, call), call.timeoutMs, signal));
  };

  /**
   * The same for every attempt at this call of this message. Nobody can make it before the message does: a sender chooses the id, and not
   * the journal's number, which a message in the journal keeps over restarts, or the random part another gets.
   */
  const keyOf = ({ flow, work }: Run, { call }: CallEffect): string => {
    const part = work.lease?.durable === true ? String(work.lease.sequence) : (work.nonce ??= ports.ids.next());
    return `${flow.name}/${work.message.id}/${part}/call/${call}`;
  };

  return async (run, call, signal) => {
    try {
      if (call.operation === "fetch") return await fetchFor(run, call, signal);
      if (call.operation === "request") return await requestFor(run, call, signal);
      const { json } = await ports.journal.readState(run.flow.name, call.target);
      return {
        error: undefined,
        status: 200,
        headersJson: '{"content-type":"application/json"}',
        body: json === undefined ? noBody : toUtf8(json),
      };
    } catch (error) {
      return failedWith(error, call.operation === "state" ? gatewaysFault : peersFault);
    }
  };
}

/** W3C trace context goes on with what the flow causes, unless it set its own. */
function withTrace(run: Run, headers: Headers): Headers {
  const trace = run.work.message.headers["traceparent"];
  return trace === undefined || headers["traceparent"] !== undefined ? headers : { ...headers, traceparent: trace };
}

/** The count of flows a message has passed through is ours: a flow can't reset it. */
function withHops(run: Run, headers: Headers): Headers {
  const hops = run.work.message.headers["mayfly-hops"];
  return hops === undefined ? headers : { ...headers, "mayfly-hops": hops };
}
