/** Shared by tests of flows: a flow's source in, its effects out. */
import assert from "node:assert/strict";
import type { Effect, Event } from "#abi";
import { deliver, type MachineOptions, run } from "./fake-machine.ts";

export const header = 'import { flow, fail, FlowError, json, text, xml, csv, timingSafeEqual } from "mayfly";\n';
export const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

export function resolveEvent(call: number, body: string, more: Partial<Extract<Event, { kind: "resolve" }>> = {}): Event {
  return {
    kind: "resolve",
    timeMs: deliver.timeMs + 5,
    call,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: new TextEncoder().encode(body),
    ...more,
  };
}

export function failure(effects: readonly Effect[]): Extract<Effect, { kind: "fail" }> {
  const last = effects.at(-1);
  assert.ok(last?.kind === "fail", `it did not fail: ${JSON.stringify(effects)}`);
  return last;
}

export async function failureOf(
  handler: string,
  event: Event = deliver,
  options: MachineOptions = {},
): Promise<Extract<Effect, { kind: "fail" }>> {
  return failure((await run(`${header}export default flow(${handler});`, event, options)).effects);
}

export async function replyOf(
  handler: string,
  event: Event = deliver,
): Promise<{ status: number; contentType: string; headers: unknown; body: string } | undefined> {
  const last = (await run(`${header}export default flow(${handler});`, event)).effects.at(-1);
  assert.ok(last?.kind === "done", `it did not complete: ${JSON.stringify(last)}`);
  const reply = last.reply;
  return (
    reply && { status: reply.status, contentType: reply.contentType, headers: JSON.parse(reply.headersJson), body: decode(reply.body) }
  );
}
