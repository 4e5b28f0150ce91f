/**
 * Links with which a question is answered. Whoever has one may answer that one question once; nobody can make one without the gateway's key.
 *
 *   URL/approve/PAYLOAD.MAC          both in base64url
 *
 *   PAYLOAD   u8   version
 *             u48  the end, milliseconds since 1970
 *             u32  the machine's number for its wait
 *             8    beginning of the SHA-256 of the question, so that a machine that runs again can't be answered what it did not ask
 *             u8   length of the flow's name, then the name
 *             …    the message's id
 *   MAC       HMAC-SHA-256 of the payload
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { fromUtf8, toUtf8 } from "#base";
import type { OpenWait } from "../contract/sleep.ts";
import type { AskedQuestion, QuestionLinks } from "../delivery/sleep/questions.ts";
import { approvalLimits } from "./limits.ts";

/** Path of the pages, with its slash. */
export const approvalPath = "/approve/";

export interface LinkedQuestion {
  readonly flow: string;
  readonly id: string;
  readonly wait: number;
  readonly untilMs: number;
  /** Of the question that was asked. */
  readonly tag: string;
  /** Names the link in no readable way: the same for every use of it. */
  readonly use: string;
}

const version = 1;
const tagBytes = 8;
const headBytes = 1 + 6 + 4 + tagBytes + 1;
const macBytes = 32;
const purpose = "mayfly approval link\0";

/** Tells questions apart. */
export function tagOf({ questionJson = "" }: OpenWait): string {
  return createHash("sha256").update(questionJson).digest().subarray(0, tagBytes).toString("hex");
}

export class Links implements QuestionLinks {
  readonly #url: () => string | undefined;
  readonly #key: Uint8Array;

  /** `url`: of the public port, as people reach it; asked for each link. */
  constructor(url: () => string | undefined, key: Uint8Array) {
    this.#url = url;
    this.#key = key;
  }

  linkTo(asked: AskedQuestion): string | undefined {
    const url = this.#url()?.replace(/\/+$/, "");
    return url === undefined ? undefined : `${url}${approvalPath}${this.tokenOf(asked)}`;
  }

  tokenOf({ flow, id, wait, untilMs }: AskedQuestion): string {
    const name = toUtf8(flow);
    const head = Buffer.alloc(headBytes);
    head.writeUInt8(version, 0);
    head.writeUIntBE(Math.max(Math.floor(untilMs), 0), 1, 6);
    head.writeUInt32BE(wait.wait, 7);
    head.set(Buffer.from(tagOf(wait), "hex"), 11);
    head.writeUInt8(name.length, headBytes - 1);
    const payload = Buffer.concat([head, name, toUtf8(id)]);
    return `${payload.toString("base64url")}.${this.#mac(payload).toString("base64url")}`;
  }

  /** Undefined for whatever this gateway has not made. Says nothing of how long it is valid. */
  read(token: string): LinkedQuestion | undefined {
    if (token.length > approvalLimits.tokenCharacters) return undefined;
    const [payloadText = "", macText = "", ...rest] = token.split(".");
    const payload = Buffer.from(payloadText, "base64url");
    const given = Buffer.from(macText, "base64url");
    const isCanonical = payload.toString("base64url") === payloadText && given.toString("base64url") === macText;
    if (rest.length > 0 || !isCanonical || given.length !== macBytes || payload.length < headBytes) return undefined;
    if (!timingSafeEqual(given, this.#mac(payload)) || payload.readUInt8(0) !== version) return undefined;
    const nameEnd = headBytes + payload.readUInt8(headBytes - 1);
    if (nameEnd > payload.length) return undefined;
    return {
      flow: fromUtf8(payload.subarray(headBytes, nameEnd)),
      id: fromUtf8(payload.subarray(nameEnd)),
      wait: payload.readUInt32BE(7),
      untilMs: payload.readUIntBE(1, 6),
      tag: payload.subarray(11, 11 + tagBytes).toString("hex"),
      use: createHash("sha256").update(given).digest("base64url"),
    };
  }

  #mac(payload: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(purpose).update(payload).digest();
  }
}
