/**
 * Types of `import … from "mayfly"`, for a flow's author. docs/FLOWS.md explains them by examples. The types of the machine's globals are
 * in globals.d.ts, apart, so that this file also serves in a project that has Node's types.
 */

export interface TextOptions {
  /** The treatment of bytes that are no text in the charset: an error (default), or U+FFFD each. */
  readonly malformed?: "refuse" | "replace" | undefined;
}

/** Shared by messages and answers. A body is decoded on each access. */
interface Content {
  /**
   * Names in lower case; of a repeated header all values, with commas between them. Given to `send`, `request` or `reply`, whole or copied,
   * a repeated header goes on as it came. The object has no prototype: a name finds a header or nothing.
   */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Each value of a header by itself, in order: `set-cookie`, or any other that its sender has repeated. Empty when the header is missing. */
  headerValues(name: string): readonly string[];
  /** The header `content-type`, "" without one. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /**
   * By the byte order mark, which is dropped, else the charset of the content type: UTF-8 (when it names none), UTF-16 or windows-1252,
   * with `import "mayfly/charsets"` any of one byte a character, and with "mayfly/charsets/japanese", "korean", "simplified-chinese" or "traditional-chinese" theirs. Malformed bytes are an error that names the first.
   */
  text(options?: TextOptions): string;
  json<T = unknown>(): T;
  xml(options: XmlParseOptions & { readonly order: true }): OrderedElement;
  xml<T = XmlElement>(options?: XmlParseOptions): T;
  csv<T = Record<string, string>>(options?: CsvParseOptions): T[];
  /** A body of `multipart/form-data` or `application/x-www-form-urlencoded`, with its boundary from the content type. */
  formData(options?: TextOptions): FormData;
  /** The same form, which also shows its `fields` and its `files`. */
  form(options?: TextOptions): Form;
}

/** A form that was read. */
export interface Form extends FormData {
  /** Texts by name; of a name that repeats, the list of them. The object has no prototype: a name finds a field or nothing. */
  readonly fields: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Files in order, each with the name of its `field`, its own `name` and its `type`. */
  readonly files: readonly (File & { readonly field: string })[];
}

/** By name; of headers in lower case. */
export interface Parameters {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly header: Readonly<Record<string, unknown>>;
  readonly cookie: Readonly<Record<string, unknown>>;
}

/**
 * The message a machine was started for. What can't be parsed is MF_MESSAGE_INVALID, which is not retried. One longer than the flow's
 * `claimCheck` has headers `mayfly-claim-bytes` and `mayfly-claim-sha256`: it can be sent on, and read with `rows`, `lines` and `elements`; reading
 * its body as a whole is MF_BODY_CLAIMED.
 */
export interface Message extends Content {
  readonly id: string;
  /** Name of the source: `http`, `cron`, `file`, … */
  readonly source: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Key that orders messages and owns `state`, if the flow has one. */
  readonly key: string | undefined;
  /** Parameters of an HTTP path such as `/orders/:id`, by name in lower case. */
  readonly params: Readonly<Record<string, string | undefined>>;
  /** Operation of the contract, where an HTTP source has `openapi`: `createOrder`. */
  readonly operation: string | undefined;
  /** Parameters of the operation as values of the types that the contract gives them, with its defaults; empty without a contract. */
  readonly parameters: Parameters;
  /** Claims of the caller's token, where an HTTP source has `auth: { jwt }` or `{ oidc }`; with `{ mtls }`, of its certificate. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The query of an HTTP request, decoded; of a key that repeats, the list of its values. */
  readonly query: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Rows of CSV as `csv()` gives them, one after another; also of a body in the body store. The delimiter is found in the first 65,536 characters. */
  rows<T = Record<string, string>>(options?: CsvParseOptions): AsyncIterableIterator<T>;
  /** Lines of text, without the `\n` or `\r\n` that ends them; also of a body in the body store. */
  lines(options?: TextOptions): AsyncIterableIterator<string>;
  /** Elements of XML with this name, as `xml()` gives them, one after another; also of a body in the body store. */
  elements<T = XmlElement | string>(name: string, options?: XmlParseOptions): AsyncIterableIterator<T>;
  /** The batch that this run reads, of a flow with `batch`. */
  readonly batch: Batch;
}

/** A batch of a message that is read with `flow({ batch: 500 }, …)`: the handler runs once for each, in a machine of its own. */
export interface Batch {
  /** From 1. */
  readonly number: number;
  /** Items of the batches before. */
  readonly first: number;
  /** Id of the message as it came: each batch after the first has an id of its own. */
  readonly of: string;
  /** True when nothing follows; known once the batch was read to its end. */
  readonly last: boolean;
  /** The value that the batch before gave to `carry`. */
  readonly carried: unknown;
  /** Gives a value to the next batch, as JSON: together with the position at most 10,922 characters. */
  carry(value: unknown): void;
}

/** The answer to a request. What can't be parsed is MF_RESPONSE_INVALID, which is retried. */
export interface Answer extends Content {
  /** HTTP status; 200 where the outlet has no such thing. */
  readonly status: number;
  /** True for a status from 200 to 299. */
  readonly ok: boolean;
}

/** A list: the header is sent once for each value. HTTP carries Latin-1 only, brokers any text. Of pairs each counts. */
export type SentHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | Iterable<readonly [name: string, value: string]>;

export interface SendOptions {
  /** Messages of one key leave in order. At most 1024 bytes. */
  readonly key?: string | undefined;
  /**
   * Default: text/plain for a string, application/octet-stream for bytes, the own type of a message, an answer, a Blob or a FormData, else
   * application/json. A string, or JSON, is written in the charset that it names.
   */
  readonly contentType?: string | undefined;
  readonly headers?: SentHeaders | undefined;
  /** Not before so much time has passed: milliseconds, or "1h", "2d". Until then others of its key go first. */
  readonly after?: number | string | undefined;
  /** Not before this date. */
  readonly at?: Date | string | number | undefined;
}

export interface RequestOptions {
  /** HTTP method; default: the outlet's own. */
  readonly method?: string | undefined;
  /** Appended to the outlet's URL, query included. */
  readonly path?: string | undefined;
  readonly headers?: SentHeaders | undefined;
  readonly contentType?: string | undefined;
  /** Milliseconds, or "5s"; default: the outlet's own. */
  readonly timeout?: number | string | undefined;
}

export interface Outlet {
  readonly name: string;
  /** Sends a message. It leaves when the flow has completed, and not at all when it fails. Objects go as JSON. */
  send(body: unknown, options?: SendOptions): void;
  /** Asks and waits for the answer; leaves at once. Rejected with a coded error when no answer comes. Any HTTP status is an answer. */
  request(body?: unknown, options?: RequestOptions): Promise<Answer>;
}

/** A line of log, at most 16 KiB; all of a message at most 256 KiB (`limits.logBytes`). Fields are anything JSON can hold, and errors. */
export interface Log {
  debug(text: string, fields?: unknown): void;
  info(text: string, fields?: unknown): void;
  warn(text: string, fields?: unknown): void;
  error(text: string, fields?: unknown): void;
}

/** Values kept under the message's key, which outlive it. Changes happen when the flow completes, and not at all when it fails. */
export interface State {
  get<T = unknown>(name: string): T | undefined;
  has(name: string): boolean;
  entries(): [name: string, value: unknown][];
  /** Any value that JSON can hold. */
  set(name: string, value: unknown): void;
  delete(name: string): void;
  /** The current state under another key. */
  read(key: string): Promise<Record<string, unknown>>;
}

export interface ReplyOptions {
  /** Default 200. */
  readonly status?: number | undefined;
  readonly contentType?: string | undefined;
  readonly headers?: SentHeaders | undefined;
}

/** The message that ends a wait. What can't be parsed is MF_SIGNAL_INVALID, which is not retried. */
export interface Signal<T = unknown> extends Content {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  json<U = T>(): U;
}

export interface WaitOptions {
  /** The signal must have it too. Default: the message's key, or its id where it has none. */
  readonly key?: string | undefined;
  /** Milliseconds, or "30m", "2d"; without it the wait ends with `sleep.max` of mayfly.yaml. */
  readonly timeout?: number | string | undefined;
}

export interface ApproveOptions<Option extends string = string> {
  /** The choices. */
  readonly options: readonly Option[];
  /** An outlet that is sent the question, with a link for the answer. */
  readonly to?: string | undefined;
  readonly timeout?: number | string | undefined;
  /** Of the signal `approval` that brings the answer. Default: one that no other wait has. */
  readonly key?: string | undefined;
}

export interface ContinueOptions {
  readonly contentType?: string | undefined;
  readonly headers?: SentHeaders | undefined;
}

export interface Context<Outlets extends string = string> {
  readonly to: { readonly [Name in Outlets]: Outlet };
  readonly log: Log;
  readonly state: State;
  /** Sets the reply; what the flow returns, when it returns something, counts more. */
  reply(body?: unknown, options?: ReplyOptions): void;
  /**
   * Waits milliseconds, or "250ms", "5s", "2m", "1h", "7d". Ten seconds and more are a commit point, like a wait: the machine is put to
   * sleep, and what the flow has sent and stored so far is committed (docs/SLEEP.md).
   */
  sleep(span: number | string): Promise<void>;
  /** Waits until a date. */
  at(date: Date | string | number): Promise<void>;
  /**
   * Waits durably for a signal with this name and key. A commit point: what the flow has sent and stored so far is committed, and a failure
   * after it is retried from here. Undefined when the time is over first.
   */
  wait<T = unknown>(name: string, options?: WaitOptions): Promise<Signal<T> | undefined>;
  /** Asks a person, and waits durably for the choice; undefined when the time is over first. */
  approve<const Option extends string>(question: string, options: ApproveOptions<Option>): Promise<Option | undefined>;
  /** When the flow completes, this message takes the place of its own, in a fresh machine of the newest image: for loops that live for years. */
  continueAs(body?: unknown, options?: ContinueOptions): void;
  readonly fetch: typeof fetch;
  /** The flow's `values:` of mayfly.yaml: settings, and secrets from `${ENV}`. No message shows them, no log, no dead letter. */
  readonly values: Readonly<Record<string, string | undefined>>;
  /** Aborted when the message is given up: its caller left, or its time is over. */
  readonly signal: AbortSignal;
}

/** Handles one message. What it returns is the reply: a string as text, bytes as bytes, a Response as it is, undefined none, else JSON. */
export type Handler<Outlets extends string = string> = (msg: Message, context: Context<Outlets>) => unknown;

/** A message that the handler is run with while the image is built. */
export interface WarmSample {
  /** As `send` takes it: text, bytes, or a value that becomes JSON. */
  readonly body?: unknown;
  /** The content type is that of the body unless it is among them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly key?: string;
  readonly values?: Readonly<Record<string, string>>;
}

export interface WarmContext {
  /**
   * Runs the handler with a sample. Sends, log lines, state and the reply are dropped. A request, `fetch`, `sleep` or a wait has no answer:
   * the run ends there, and the promise gives false; true once the handler has completed. Throws what the handler throws.
   */
  handle(sample?: WarmSample): Promise<boolean>;
}

export interface FlowOptions<Outlets extends string = string> {
  /** The outlets the flow may use; any other is MF_OUTLET_UNKNOWN. */
  readonly outlets?: readonly Outlets[];
  /**
   * Reads the message in batches of so many rows, lines or elements, at most 100,000: the handler runs once for each, and what it sent and
   * stored is committed before the next begins.
   */
  readonly batch?: number;
  /**
   * Runs once when the image is built, after the module's top level, and all that it leaves in memory is frozen: what libraries build on
   * their first call is there for every message. Like the top level it has no clock, randomness, timers or effects.
   */
  readonly warm?: (context: WarmContext) => unknown;
  /** Locales besides English whose tables go into the image: the same as `import "mayfly/locales/nl"` for each. Write them as texts. */
  readonly locales?: readonly string[];
  /** Sizes in bytes or as "16MiB", times in milliseconds or as "500ms". */
  readonly limits?: {
    /** Memory of the machine; default 16 MiB. */
    readonly memory?: number | string;
    /** CPU time of one step; default 500 ms. */
    readonly cpu?: number | string;
    /** Time from delivery to completion, waiting included; default 30 s. */
    readonly time?: number | string;
    /** Messages sent; default 10,000. */
    readonly sends?: number;
    /** Log text and fields of one message; default 256 KiB. */
    readonly logBytes?: number | string;
  };
}

declare const flowBrand: unique symbol;
/** Default export of a flow's module. */
export interface Flow<Outlets extends string = string> {
  readonly [flowBrand]: Outlets;
}

export function flow<Outlets extends string = string>(handler: Handler<Outlets>): Flow<Outlets>;
export function flow<const Outlets extends string = string>(options: FlowOptions<Outlets>, handler: Handler<Outlets>): Flow<Outlets>;

/** One operation of a contract, as `mayfly types` writes it: `flow<Operations["createOrder"]>(…)`. Several are a union, told apart by `msg.operation`. */
export interface Operation {
  readonly operation: string;
  readonly path: object;
  readonly query: object;
  readonly header: object;
  readonly cookie: object;
  /** The JSON body; `unknown` of other media types. */
  readonly body: unknown;
  /** Bodies by status: `201`, `"4XX"`, `"default"`; `undefined` without one. */
  readonly replies: object;
}

/** The message of an operation: its body and its parameters have been checked, so that their types are not promises. */
export type OperationMessage<Op extends Operation> = Op extends Operation
  ? Omit<Message, "operation" | "parameters" | "json"> & {
      readonly operation: Op["operation"];
      readonly parameters: Readonly<Pick<Op, "path" | "query" | "header" | "cookie">>;
      json(): Op["body"];
      json<T>(): T;
    }
  : never;

/** Body of a reply with a status: its own, that of its hundred, or the default. `never` for a status that the contract lacks. */
export type OperationReply<Op extends Operation, Status extends number> = Op extends Operation
  ? Status extends keyof Op["replies"]
    ? Op["replies"][Status]
    : `${Status}` extends `${infer Hundred}${string}`
      ? `${Hundred}XX` extends keyof Op["replies"]
        ? Op["replies"][`${Hundred}XX`]
        : "default" extends keyof Op["replies"]
          ? Op["replies"]["default"]
          : never
      : never
  : never;

export interface OperationContext<Op extends Operation, Outlets extends string = string> extends Omit<Context<Outlets>, "reply"> {
  /** As `Context.reply`; status and body are of the contract. Without a status it is 200. */
  reply(body: OperationReply<Op, 200>, options?: Omit<ReplyOptions, "status">): void;
  reply<const Status extends number>(body: OperationReply<Op, Status>, options: ReplyOptions & { readonly status: Status }): void;
}

/** Handles one operation. What it returns is the reply of status 200; others are given to `reply`, or are a Response. */
export type OperationHandler<Op extends Operation, Outlets extends string = string> = (
  msg: OperationMessage<Op>,
  context: OperationContext<Op, Outlets>,
) => OperationResult<Op> | Promise<OperationResult<Op>>;

export type OperationResult<Op extends Operation> = OperationReply<Op, 200> | Response | undefined | void;

export function flow<Op extends Operation, Outlets extends string = string>(handler: OperationHandler<Op, Outlets>): Flow<Outlets>;
export function flow<Op extends Operation, const Outlets extends string = string>(
  options: FlowOptions<Outlets>,
  handler: OperationHandler<Op, Outlets>,
): Flow<Outlets>;

export interface FailOptions {
  /** False when another attempt can't help. Default true. */
  readonly retry?: boolean | undefined;
  /** HTTP status the caller is told, from 400 to 599. */
  readonly status?: number | undefined;
  /** Default MF_FLOW_FAILED. Up to 64 letters, digits, ".", "_" and "-". */
  readonly code?: string | undefined;
  readonly cause?: unknown;
}

/** Gives the message up. */
export function fail(message: string, options?: FailOptions): never;

/** The class of every error the runtime throws, and of `fail`. */
export class FlowError extends Error {
  constructor(code: string, message: string, retry?: boolean, status?: number, cause?: unknown);
  readonly code: string;
  readonly retry: boolean;
  readonly status: number;
}

export const json: {
  parse<T = unknown>(input: string | Uint8Array): T;
  stringify(value: unknown, options?: { readonly indent?: number }): string;
};

/** Text and its bytes, in UTF-8 or another charset. */
export const text: {
  /** Throws MF_CHARSET_UNKNOWN, and MF_TEXT_INVALID with the offset of the first malformed byte. A byte order mark counts more than `charset`. */
  parse(bytes: Uint8Array, charset?: string, options?: TextOptions): string;
  /**
   * Throws MF_CHARSET_UNKNOWN, and MF_TEXT_UNMAPPABLE with the first character that the charset lacks; `replace` writes a question mark for each.
   * UTF-16 has a byte order mark unless the charset names the order of bytes (`utf-16le`); in UTF-8 lone surrogates become U+FFFD.
   */
  stringify(value: string, charset?: string, options?: { readonly unmappable?: "refuse" | "replace" | undefined }): Uint8Array;
};

/** An element as an object: children by name, an array where a name repeats; attributes as `@name`; text as `#text`. */
export interface XmlElement {
  [name: string]: XmlValue;
}
export type XmlValue = string | XmlElement | (string | XmlElement)[] | undefined;

/** An element with its content in order, as `order: true` gives it; attributes as `@name`. */
export interface OrderedElement {
  readonly "#name": string;
  /** Missing where the element is empty. */
  readonly "#children"?: readonly OrderedChild[];
  readonly [attribute: `@${string}`]: string;
}
/** A text, an element, or an instruction as `target data`. */
export type OrderedChild = string | OrderedElement | { readonly "#instruction": string };

export interface XmlParseOptions extends TextOptions {
  /** Names whose elements are always arrays, also when there is one: "Line", or "Invoice.Line" for those under Invoice only. */
  readonly arrays?: readonly string[];
  /** Drop namespace prefixes of elements and attributes. Default false. Two attributes of an element with one name without them are an error. */
  readonly removePrefixes?: boolean;
  /**
   * Check namespaces, and give names the prefixes that stand here, whatever the sender's are: `{ cbc: "urn:oasis:…:CommonBasicComponents-2" }`;
   * "" is for names without a prefix. Declarations are left out; other namespaces keep their prefixes. Not for `msg.elements`.
   */
  readonly namespaces?: Readonly<Record<string, string>>;
  /** Keep white space around text. Default false: it is trimmed, and text that is all white space is dropped. Between elements it always is. */
  readonly keepSpace?: boolean;
  /** Give the root as an OrderedElement: mixed content, and children in their order. Texts are not trimmed; those of layout are dropped. Default false. */
  readonly order?: boolean;
  /** "ignore": read over a document type declaration that has no entities. What it declares, such as defaults of attributes, is not applied. Default "refuse". */
  readonly doctype?: "refuse" | "ignore";
}

export interface XmlStringifyOptions {
  /** Spaces for each level. Default 0: all on one line. */
  readonly indent?: number;
  /** Default true: `<?xml version="1.0" encoding="UTF-8"?>`. */
  readonly declaration?: boolean;
}

export interface XmlCanonicalOptions {
  /** Exclusive XML Canonicalization 1.0: only the namespaces that an element uses. Default false. */
  readonly exclusive?: boolean;
  /** With `exclusive`: prefixes that are treated as without it (InclusiveNamespaces PrefixList); "#default" is that without a name. */
  readonly prefixes?: readonly string[];
  /** The element within the root whose canonical form is wanted. Default: the root. */
  readonly element?: OrderedElement;
  /** Elements that are left out, such as the signature itself. */
  readonly omit?: readonly OrderedElement[];
}

/** Well-formed XML 1.0. A document type declaration is refused or read over, so there are no entities but the five of XML. */
export const xml: {
  parse(input: string | Uint8Array, options: XmlParseOptions & { readonly order: true }): OrderedElement;
  parse<T = XmlElement>(input: string | Uint8Array, options?: XmlParseOptions): T;
  /** The document of `{ root: … }` or of an OrderedElement. */
  stringify(value: object, options?: XmlStringifyOptions): string;
  /**
   * What a path of XPath 1.0 finds in a value that was parsed: elements as they are there, attributes and texts as texts; a number, a text or a
   * boolean is the only item. A path begins at the value; at an OrderedElement, inside it. Names are matched with their prefixes.
   * Throws MF_XML_PATH with the place in the path.
   */
  select<T = unknown>(value: unknown, path: string): T[];
  /** Canonical XML 1.0 of an element read with `{ order: true, keepSpace: true }`, without comments, for signatures. */
  canonical(root: OrderedElement, options?: XmlCanonicalOptions): string;
};

export interface CsvParseOptions extends TextOptions {
  /** One character; default: found among , ; tab and |. */
  readonly delimiter?: string;
  /** True (default): the first row has the names. False: rows are arrays. A list: these are the names, and the first row is data. */
  readonly header?: boolean | readonly string[];
  /** Empty lines are rows. Default false; a line with `""` always is. */
  readonly keepEmptyRows?: boolean;
  /** A row with too many or too few fields is an error. Default true. */
  readonly strict?: boolean;
}

export interface CsvStringifyOptions {
  /** Default ",". */
  readonly delimiter?: string;
  /** Default "\r\n" (RFC 4180). */
  readonly newline?: string;
  /** True (default): a first row of names, those of all objects. A list: these columns in this order. False: none. */
  readonly header?: boolean | readonly string[];
  /** Write fields so that no spreadsheet takes one for a formula. Default false. */
  readonly escapeFormulas?: boolean;
}

export const csv: {
  parse<T = Record<string, string>>(input: string | Uint8Array, options?: CsvParseOptions): T[];
  stringify(rows: readonly object[], options?: CsvStringifyOptions): string;
};

/** Policy for times of a clock that come twice or never: `compatible` (default) takes the earlier of two, and the later side of a gap. */
export type ZonePolicy = "compatible" | "earlier" | "later" | "reject";

export interface Zone {
  readonly name: string;
  /**
   * The instant of a clock's time, such as "2026-03-29T02:30" (seconds and fractions may follow; a date alone is midnight). Throws
   * MF_ZONE_TIME, and with `reject` MF_ZONE_GAP and MF_ZONE_TWICE.
   */
  toUtc(local: string, policy?: ZonePolicy): Date;
  /** The clock's time at an instant, such as "2026-03-29T03:30:00"; milliseconds unless they are 0. Throws MF_ZONE_TIME. */
  toLocal(date: Date | number): string;
}

/** A time zone by its IANA name or its offset. Throws MF_ZONE_UNKNOWN. */
export function zone(name: string): Zone;

/** Compares two byte strings in a time that does not depend on where they differ. */
export function timingSafeEqual(a: string | Uint8Array, b: string | Uint8Array): boolean;
