/** The message a machine was started for. There is one for each machine, so there is one object, built at boot. */
import type { Batch, CsvParseOptions, Message as PublicMessage, Parameters, XmlElement, XmlParseOptions } from "./api.d.ts";
import type { TextOptions } from "./charset.ts";
import { Content, type Headers } from "./content.ts";
import { requireHandler } from "./effects.ts";
import { FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { positionHeader, type Reading, readingFor } from "./readers.ts";
import { deliverPart } from "./wire.ts";

/** How the door names what `values:` in mayfly.yaml gives the flow, among the headers. */
const valuePrefix = "mayfly-value-";

/** How the door names path parameters among the headers. */
const parameterPrefix = "mayfly-path-";

/** Text of a form's field (URL standard, 5.1): what can't be decoded stays as it is. */
function formText(text: string): string {
  const plain = text.includes("+") ? text.replace(/\+/g, " ") : text;
  if (!plain.includes("%")) return plain;
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

/** The flow's `values:`. They are not in the message: whatever shows a message, shows no secret. */
const values: Record<string, string> = Object.create(null);

/** A message for `warm`, which no event brings. */
export interface SampleParts {
  readonly source: string;
  readonly key: string | undefined;
  readonly headersJson: string;
  readonly body: Uint8Array;
}

export class Message extends Content implements PublicMessage {
  private heldId: string | undefined;
  private heldSource: string | undefined;
  private heldAttempt = 0;
  private heldKey: string | undefined | null = null;
  /** Where earlier batches ended, once the headers were read. */
  position: string | undefined;

  static sample({ source, key, headersJson, body }: SampleParts): Message {
    const sample = new Message();
    sample.heldId = "warm";
    sample.heldSource = source;
    sample.heldAttempt = 1;
    sample.heldKey = key;
    sample.give(body, headersJson);
    return sample;
  }

  protected get bodyPart(): number {
    return deliverPart.body;
  }

  protected get headersPart(): number {
    return deliverPart.headers;
  }

  get id(): string {
    return (this.heldId ??= native.text(deliverPart.id) ?? "");
  }

  get source(): string {
    return (this.heldSource ??= native.text(deliverPart.source) ?? "");
  }

  get attempt(): number {
    if (this.heldAttempt === 0) this.heldAttempt = native.number(deliverPart.attempt);
    return this.heldAttempt;
  }

  /** Of the transaction that begins. */
  renewAttempt(attempt: number): void {
    this.heldAttempt = attempt;
  }

  get key(): string | undefined {
    if (this.heldKey === null) this.heldKey = native.text(deliverPart.key);
    return this.heldKey;
  }

  /** Parameters of the path, by name in lower case. */
  get params(): Readonly<Record<string, string | undefined>> {
    const found: Record<string, string> = Object.create(null);
    const { headers } = this;
    for (const name in headers) if (name.startsWith(parameterPrefix)) found[name.slice(parameterPrefix.length)] = headers[name]!;
    return found;
  }

  /** Operation of the contract that an HTTP source serves. */
  get operation(): string | undefined {
    return this.headers["mayfly-operation"];
  }

  /** Parameters of an operation as values, by place and name. */
  get parameters(): Parameters {
    const json = this.headers["mayfly-parameters"];
    return json === undefined ? { path: {}, query: {}, header: {}, cookie: {} } : JSON.parse(json);
  }

  /** Claims of the caller's token; empty without one. */
  get claims(): Readonly<Record<string, unknown>> {
    const json = this.headers["mayfly-claims"];
    return json === undefined ? {} : JSON.parse(json);
  }

  /** The query, decoded as a form is; of a key that repeats, all values. */
  get query(): Readonly<Record<string, string | readonly string[] | undefined>> {
    const found: Record<string, string | string[]> = Object.create(null);
    for (const pair of (this.headers["mayfly-query"] ?? "").split("&")) {
      if (pair === "") continue;
      const mark = pair.indexOf("=");
      const name = formText(mark < 0 ? pair : pair.slice(0, mark));
      const value = mark < 0 ? "" : formText(pair.slice(mark + 1));
      const before = found[name];
      if (typeof before === "object") before.push(value);
      else found[name] = before === undefined ? value : [before, value];
    }
    return found;
  }

  /** Takes the flow's values out of the headers. The names of old go on finding them there, and nothing that lists headers does. */
  protected override readFields(): Headers {
    const fields = super.readFields();
    this.position = fields[positionHeader];
    if (this.position !== undefined) Reflect.deleteProperty(fields, positionHeader);
    for (const name in fields) {
      if (!name.startsWith(valuePrefix)) continue;
      values[name.slice(valuePrefix.length)] = fields[name]!;
      Object.defineProperty(fields, name, { enumerable: false });
    }
    return fields;
  }

  /** Names the body in the gateway's body store, when it is there and not here. */
  get storedBody(): string | undefined {
    return this.headers["mayfly-claim"];
  }

  /** Of the body, wherever it is. */
  get size(): number {
    return this.storedBody === undefined ? this.bytes.length : Number(this.headers["mayfly-claim-bytes"]);
  }

  /** Rows of CSV, one after another. */
  rows<T = Record<string, string>>(options?: CsvParseOptions): AsyncIterableIterator<T> {
    return readerFor("msg.rows()", "rows").open(this, "rows", undefined, options) as AsyncIterableIterator<T>;
  }

  /** Lines of text. */
  lines(options?: TextOptions): AsyncIterableIterator<string> {
    return readerFor("msg.lines()", "lines").open(this, "lines", undefined, options) as AsyncIterableIterator<string>;
  }

  /** Elements of XML that have this name. */
  elements<T = XmlElement>(name: string, options?: XmlParseOptions): AsyncIterableIterator<T> {
    return readerFor("msg.elements()", "elements").open(this, "elements", String(name), options) as AsyncIterableIterator<T>;
  }

  get batch(): Batch {
    return readerFor("msg.batch", "reading").batch(this);
  }

  /** The error of a body that is not in this format. */
  unreadable(format: string, error: unknown): unknown {
    return this.invalid(format, error);
  }

  protected override checkEmpty(): void {
    if (this.storedBody === undefined) return;
    throw new FlowError(
      "MF_BODY_CLAIMED",
      `the body of ${this.headers["mayfly-claim-bytes"]} bytes is in the body store: read it in pieces with rows(), lines() or elements(), forward it with send(msg) or request(msg), or raise the flow's claimCheck`,
      false,
    );
  }

  protected get what(): string {
    return "the message";
  }

  protected refusal(sentence: string, cause: unknown): FlowError {
    return new FlowError("MF_MESSAGE_INVALID", sentence, false, 400, cause);
  }

  override hold(): void {
    void this.id;
    void this.source;
    void this.attempt;
    void this.key;
    void this.headers; // as text they would hold the values
    super.hold();
  }

  /** The form shown by `JSON.stringify(msg)` and the log. */
  toJSON(): object {
    return { id: this.id, source: this.source, attempt: this.attempt, key: this.key, headers: this.shownHeaders, bytes: this.size };
  }
}

/** The reader of bodies in pieces, which a sample of `warm` does not have. */
function readerFor(what: string, part: string): Reading {
  requireHandler(what);
  return readingFor(what, part);
}

export const message: Message = new Message();

/** The flow's `values:` of mayfly.yaml, by name. */
export function messageValues(): Readonly<Record<string, string>> {
  void message.headers;
  return values;
}
