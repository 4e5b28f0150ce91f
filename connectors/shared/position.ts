/** Position in a stream of events: the id up to which every event has ended. Kept over restarts, with one write at a time. */
import { guarded, type SourceContext } from "#gateway/contract";

interface Place {
  readonly id: string;
  /** Called once this event and all before it have ended. */
  readonly ended: () => void;
  isOver: boolean;
}

export class Position {
  readonly #context: SourceContext;
  readonly #fact: string | undefined;
  #places: Place[] = [];
  #id = "";
  #written = "";
  #writing: Promise<void> | undefined;

  /** `fact`: name of the stream that the position belongs to. Undefined: the order of ends alone counts, and nothing is kept. */
  constructor(context: SourceContext, fact: string | undefined) {
    this.#context = context;
    this.#fact = fact;
  }

  /** Reads what is kept, unless there is a position already. `first`: where nothing is kept. */
  async load(first: string): Promise<string> {
    this.#places = [];
    if (this.#id !== "") return this.#id;
    const kept = this.#fact === undefined ? undefined : await this.#context.recall?.read(this.#fact);
    this.#id = this.#written = kept ?? first;
    return this.#id;
  }

  /** Begins an event. Call the result once it has ended; `ended` is called once all events before it have ended as well. */
  begin(id: string, ended: () => void = () => {}): () => void {
    const place: Place = { id, ended, isOver: false };
    this.#places.push(place);
    return () => {
      place.isOver = true;
      this.#advance();
    };
  }

  /** Resolves once the position is kept. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  #advance(): void {
    for (let [first] = this.#places; first?.isOver === true; [first] = this.#places) {
      this.#id = first.id;
      this.#places.shift();
      first.ended();
    }
    if (this.#fact !== undefined && this.#writing === undefined && this.#id !== this.#written) this.#write(this.#fact);
  }

  #write(fact: string): void {
    const id = this.#id;
    const over = guarded(this.#context.unexpected, "the position of an event stream", () => {
      this.#writing = undefined;
      this.#written = id;
      this.#advance();
    });
    this.#writing = (this.#context.recall?.write(fact, id) ?? Promise.resolve()).then(over, (error: unknown) => {
      this.#writing = undefined; // the next event writes it again
      this.#context.unexpected(error, "the position of an event stream");
    });
  }
}
