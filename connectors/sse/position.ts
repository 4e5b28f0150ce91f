/** Position in an event stream: the id up to which every event has ended. Kept over restarts, with one write at a time. */
import { guarded, type SourceContext } from "#gateway/contract";

interface Place {
  readonly id: string;
  isOver: boolean;
}

export class Position {
  readonly #context: SourceContext;
  readonly #fact: string;
  #places: Place[] = [];
  #id = "";
  #written = "";
  #writing: Promise<void> | undefined;

  /** `stream`: what the position belongs to; another stream has another one. */
  constructor(context: SourceContext, stream: string) {
    this.#context = context;
    this.#fact = `sse ${context.name} ${stream}`;
  }

  /** Reads what is kept, unless there is a position already. `first`: where nothing is kept. */
  async load(first: string): Promise<string> {
    this.#places = [];
    if (this.#id === "") this.#id = this.#written = (await this.#context.recall?.read(this.#fact)) ?? first;
    return this.#id;
  }

  /** An event that has begun. The result is called once it has ended. */
  begin(id: string): () => void {
    const place: Place = { id, isOver: false };
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
    }
    if (this.#writing === undefined && this.#id !== this.#written) this.#write();
  }

  #write(): void {
    const id = this.#id;
    const over = guarded(this.#context.unexpected, "the position of an event stream", () => {
      this.#writing = undefined;
      this.#written = id;
      this.#advance();
    });
    this.#writing = (this.#context.recall?.write(this.#fact, id) ?? Promise.resolve()).then(over, (error: unknown) => {
      this.#writing = undefined; // the next event writes it again
      this.#context.unexpected(error, "the position of an event stream");
    });
  }
}
