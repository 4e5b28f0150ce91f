/**
 * Reader of event streams (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6). Bytes in, events out; holds at most one
 * event. `retry:` is ignored: the source has a backoff of its own.
 */
import { sseLimits } from "./limits.ts";

export interface SseEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly data: string;
  /** Of this event itself; undefined without one. */
  readonly id: string | undefined;
  /** Id of the last event that had one: from where the stream goes on after this event. */
  readonly position: string;
  /** Longer than the limit: `data` is empty. */
  readonly isTooLong: boolean;
}

const controls = /[\u0000-\u001f\u007f]/;

export class EventReader {
  readonly #limit: number;
  readonly #decoder = new TextDecoder();
  #line = "";
  #afterReturn = false;
  #data: string[] = [];
  #bytes = 0;
  #type = "";
  #id: string | undefined;
  #position: string;
  #isTooLong = false;

  /** `limit`: most bytes of an event's data. `position`: id of the last event that was read before. */
  constructor(limit: number, position: string) {
    this.#limit = limit;
    this.#position = position;
  }

  *read(chunk: Uint8Array): Generator<SseEvent, void> {
    const text = this.#decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) {
        this.#afterReturn = false;
        continue;
      }
      const isSecond = code === 10 && this.#afterReturn;
      this.#afterReturn = code === 13;
      if (!isSecond) {
        this.#hold(text.slice(from, at));
        const event = this.#endLine();
        if (event !== undefined) yield event;
      }
      from = at + 1;
    }
    this.#hold(text.slice(from));
  }

  #hold(part: string): void {
    if (this.#line.length + part.length > this.#limit + sseLimits.idCharacters) {
      this.#isTooLong = true;
      this.#line = this.#line.slice(0, sseLimits.idCharacters);
    } else this.#line += part;
  }

  #endLine(): SseEvent | undefined {
    const line = this.#line;
    this.#line = "";
    if (line === "") return this.#event();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#add(value);
    else if (name === "event") this.#type = value.slice(0, sseLimits.idCharacters);
    else if (name === "id" && value.length <= sseLimits.idCharacters && !controls.test(value)) this.#id = value;
    return undefined;
  }

  #add(line: string): void {
    this.#bytes += Buffer.byteLength(line) + 1;
    if (this.#bytes > this.#limit + 1) {
      this.#isTooLong = true;
      this.#data = [];
    } else if (!this.#isTooLong) this.#data.push(line);
  }

  #event(): SseEvent | undefined {
    const [data, type, id, isTooLong] = [this.#data, this.#type, this.#id, this.#isTooLong];
    this.#data = [];
    this.#bytes = 0;
    this.#type = "";
    this.#id = undefined;
    this.#isTooLong = false;
    if (id !== undefined) this.#position = id;
    if (data.length === 0 && !isTooLong) return undefined; // not an event, but its id counts
    return {
      type: type === "" ? "message" : type,
      data: isTooLong ? "" : data.join("\n"),
      id: id === "" ? undefined : id,
      position: this.#position,
      isTooLong,
    };
  }
}
