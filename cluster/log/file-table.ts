/**
 * Names, files and where their bytes are: all that a partition's stream amounts to, built by applying its messages in order.
 *
 *   create ──▶ named ──rename──▶ named ──remove──▶ removed ──▶ its subject is purged
 *                │ another file takes its name
 *                ▼
 *            displaced: without a name; the writer removes it before anything else is written
 *
 * Servers that end in the middle of a purge, or before they have written down all of it, show any part of a removed file again. Its
 * removal is on another subject and stays for a while, so that such a part is known for what it is; the same part of a file that nobody
 * has removed is a loss.
 */
import type { CodedError } from "#base";
import type { Entry } from "./entries.ts";
import { damagedStream } from "./errors.ts";
import { Extents } from "./extents.ts";

/** One file, from its creation to its removal. */
export interface Life {
  readonly id: number;
  /** Undefined once it is displaced or removed. */
  name: string | undefined;
  size: number;
  /** Index of the next message on its subject. */
  messages: number;
  /** Numbers of its messages. */
  readonly sequences: number[];
  readonly extents: Extents;
  /** Open handles: a removed file is purged when the last one is closed. */
  handles: number;
  removed: boolean;
  /** Messages of it are missing. */
  damage: CodedError | undefined;
}

export class FileTable {
  readonly #stream: string;
  readonly #names = new Map<string, Life>();
  readonly #lives = new Map<number, Life>();
  readonly #past = new Set<string>();
  #writer = "";
  #counter = 0;
  #node = "";
  /** Numbers of the removals that are in the stream, oldest first. */
  #removals: number[] = [];

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Name of the node that took over last; empty if nobody has. */
  get owner(): string {
    return this.#node;
  }

  /** Once there are twice `kept` removals: gives the number of the oldest that is kept, and forgets those before it. */
  takeOldRemovals(kept: number): number | undefined {
    if (this.#removals.length < 2 * kept) return undefined;
    this.#removals = this.#removals.slice(-kept);
    return this.#removals[0];
  }

  names(): string[] {
    return [...this.#names.keys()];
  }

  find(name: string): Life | undefined {
    return this.#names.get(name);
  }

  /** Files that lost their name to another one and are not removed. */
  displaced(): Life[] {
    return [...this.#lives.values()].filter(({ name, damage }) => name === undefined && damage === undefined);
  }

  /** Applies a message, and gives the file that it has removed. Throws MF_JOURNAL_CORRUPT if it does not follow from those before. */
  apply(entry: Entry, sequence: number): Life | undefined {
    this.#checkWriter(entry, sequence);
    if (entry.kind === "own") this.#node = entry.name;
    else if (entry.kind === "create") this.#create(entry, sequence);
    else if (entry.kind === "remove") return this.#remove(entry.life, sequence);
    else this.#change(entry, sequence);
    return undefined;
  }

  /** At the end of the stream: throws MF_JOURNAL_CORRUPT if messages of a file are missing that nobody has removed. */
  checkWhole(): void {
    for (const { damage } of this.#lives.values()) if (damage !== undefined) throw damage;
  }

  /** A writer that others have followed was refused from then on: messages of it can only follow if servers have lost some. */
  #checkWriter({ writer, counter }: Entry, sequence: number): void {
    if (writer !== this.#writer) {
      if (this.#past.has(writer)) throw damagedStream(this.#stream, sequence, "its writer was deposed before");
      this.#past.add(this.#writer);
      this.#writer = writer;
    } else if (counter <= this.#counter) {
      throw damagedStream(this.#stream, sequence, `change ${counter} of its writer follows change ${this.#counter}`);
    }
    this.#counter = counter;
  }

  #create({ life: id, name }: Entry, sequence: number): void {
    if (id !== sequence) throw damagedStream(this.#stream, sequence, `it creates file ${id}`);
    const before = this.#names.get(name);
    if (before !== undefined) before.name = undefined; // it was removed, and servers show it again
    const life: Life = {
      id,
      name,
      size: 0,
      messages: 1,
      sequences: [sequence],
      extents: new Extents(),
      handles: 0,
      removed: false,
      damage: undefined,
    };
    this.#lives.set(id, life);
    this.#names.set(name, life);
  }

  #change(entry: Entry, sequence: number): void {
    const life = this.#lives.get(entry.life) ?? this.#unknown(entry.life, sequence);
    if (life.damage === undefined && entry.index !== life.messages)
      life.damage = damagedStream(this.#stream, sequence, `message ${life.messages} of file ${life.id} is missing before it`);
    life.messages = entry.index + 1;
    life.sequences.push(sequence);
    if (entry.kind === "write") {
      life.extents.write(entry.at, entry.bytes, sequence);
      if (entry.bytes > 0) life.size = Math.max(life.size, entry.at + entry.bytes);
    } else if (entry.kind === "truncate") {
      life.extents.truncate(entry.at);
      life.size = entry.at;
    } else this.#rename(life, entry.name);
  }

  /** A file whose creation is missing. */
  #unknown(id: number, sequence: number): Life {
    const damage = damagedStream(this.#stream, sequence, `the creation of file ${id} is missing before it`);
    const life: Life = {
      id,
      name: undefined,
      size: 0,
      messages: 0,
      sequences: [],
      extents: new Extents(),
      handles: 0,
      removed: false,
      damage,
    };
    this.#lives.set(id, life);
    return life;
  }

  #rename(life: Life, name: string): void {
    const before = this.#names.get(name);
    if (before === life) return;
    if (before !== undefined) before.name = undefined;
    if (life.name !== undefined) this.#names.delete(life.name);
    life.name = name;
    this.#names.set(name, life);
  }

  #remove(id: number, sequence: number): Life | undefined {
    this.#removals.push(sequence);
    const life = this.#lives.get(id);
    if (life === undefined) return undefined;
    if (life.name !== undefined) this.#names.delete(life.name);
    life.name = undefined;
    life.removed = true;
    this.#lives.delete(id);
    return life;
  }
}
