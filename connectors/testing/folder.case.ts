/** Files that are taken from a folder of a file server: finished ones only, by one of several gateways, through lost connections. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { Source, SourceContext, SourceDefinition } from "../../gateway/contract/source.ts";
import { folderLimits } from "../shared/remote-folder/limits.ts";
import type { FolderSourceConfig } from "../shared/remote-folder/schema.ts";
import type { PrivateBroker } from "./brokers.ts";
import { Proxy } from "./proxy.ts";
import { aWhile, configured, done, eventually, PretendedGateway, refused, testContext, uniqueName } from "./rig.ts";

export interface FolderServer {
  readonly broker: PrivateBroker;
  /** Folder of the test's files, as the test sees it. */
  readonly files: string;
  /** Options of a connector: the server and the login. */
  readonly login: object;
}

export interface FolderCase {
  /** Of the connector. */
  readonly name: string;
  /** Error codes of the connector. */
  readonly codes: {
    readonly folder: string;
    readonly limit: string;
    readonly move: string;
    readonly takenOver: string;
    readonly unreachable: string;
  };
  /** The reason why the server can't be started. */
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly source: SourceDefinition<any>;
  open(): Promise<FolderServer>;
  /** The client's path of a folder below `files`. */
  pathOf(dir: string): string;
}

const dead = (incoming: Incoming): Outcome => ({
  status: "dead",
  id: incoming.id ?? "",
  failure: { origin: "flow", code: "NO", message: "", status: 0, retry: false },
  kept: true,
});

export const names = async (...path: string[]): Promise<string[]> => (await readdir(join(...path)).catch(() => [])).sort();
export const isDone = (dir: string, count: number) => async (): Promise<boolean> => (await names(dir, "done")).length === count;
export const fileNames = ({ received }: PretendedGateway): unknown[] => received.map(({ headers }) => headers["mayfly-file-name"]);

/** Names given as a list get times in its order. */
export async function drop(dir: string, files: readonly string[], body = "x"): Promise<void> {
  for (const [at, name] of files.entries()) {
    await writeFile(join(dir, `.${name}.tmp`), body);
    await utimes(join(dir, `.${name}.tmp`), 1_700_000_000 + at, 1_700_000_000 + at);
    await rename(join(dir, `.${name}.tmp`), join(dir, name));
  }
}

export interface Started {
  readonly source: Source;
  readonly gateway: PretendedGateway;
  readonly context: ReturnType<typeof testContext>;
  start(): Promise<void>;
}

/** Starts sources of one server, and stops those that a failed test leaves: they would keep its file from ending. */
export class FolderRig {
  readonly #case: FolderCase;
  readonly #running: { readonly source: Source; readonly gateway: PretendedGateway }[] = [];
  #server: FolderServer | undefined;

  constructor(each: FolderCase) {
    this.#case = each;
    process.umask(0); // the server's user works in the folders that a test makes
    before(async () => {
      if (each.skip === undefined) this.#server = await each.open();
    });
    after(async () => {
      for (const { gateway } of this.#running) gateway.answer = done;
      for (const { source, gateway } of this.#running) {
        gateway.release();
        await source.stop();
      }
      await this.#server?.broker.remove();
    });
  }

  get server(): FolderServer {
    if (this.#server === undefined) throw new Error("the server does not run");
    return this.#server;
  }

  async newFolder(): Promise<string> {
    const dir = join(this.server.files, uniqueName("dir"));
    await mkdir(dir);
    return dir;
  }

  started(dir: string, more: object = {}, context: Partial<SourceContext> = {}, gateway = new PretendedGateway()): Started {
    const { source: definition, pathOf } = this.#case;
    const raw = { ...this.server.login, dir: pathOf(dir), settle: "20ms", every: "20ms", ...more };
    const tested = testContext();
    const source = definition.create(configured<FolderSourceConfig>(definition, raw), { ...tested, ...context });
    this.#running.push({ source, gateway });
    return { source, gateway, context: tested, start: () => source.start(gateway.accept) };
  }
}

export function folderCase(each: FolderCase): FolderRig {
  const rig = new FolderRig(each);
  const newFolder = (): Promise<string> => rig.newFolder();
  const started = rig.started.bind(rig);
  const { codes } = each;

  describe(`${each.name} source`, { skip: each.skip, timeout: 240_000 }, () => {
    test("files come by time, then name, once, and end in done or failed; others are left alone", async () => {
      const dir = await newFolder();
      for (const name of ["hidden.csv.part", ".hidden.csv", "d.txt"]) await writeFile(join(dir, name), "x");
      await symlink("/etc/passwd", join(dir, "link.csv"));
      await drop(dir, ["z.csv", "b.csv", "a ö.csv"]);
      await utimes(join(dir, "a ö.csv"), 1_700_000_001, 1_700_000_001);
      const { source, gateway, start, context } = started(dir, { pattern: "*.csv" });
      gateway.answer = (incoming, count) => (count === 3 ? dead(incoming) : done(incoming));
      await start();
      await eventually("all are moved", async () => (await names(dir, "done")).length === 2 && (await names(dir, "failed")).length === 1);
      await aWhile();
      deepEqual(fileNames(gateway), ["z.csv", "a%20%C3%B6.csv", "b.csv"]);
      deepEqual(await names(dir, "failed"), ["b.csv"]);
      deepEqual(await names(dir), [".hidden.csv", ".mayfly", "d.txt", "done", "failed", "hidden.csv.part", "link.csv"]);
      deepEqual(gateway.received.map(({ contentType, id, keeper }) => [contentType, id, keeper])[0], [
        "text/csv",
        `z.csv-${(1_700_000_000_000).toString(36)}-1`,
        "source",
      ]);
      equal(context.counts.get("ignored"), 1);
      ok(source.health().ready, source.health().detail);
      await source.stop();
      deepEqual(await names(dir, ".mayfly"), [], "a gateway that stops in order leaves nothing behind");
      equal(context.memory.all.takenBytes, 0);
    });

    test("a file that grows is left alone until it keeps still; one that changes while its message runs is another message", async () => {
      const dir = await newFolder();
      const { source, gateway, start } = started(dir, { settle: "1200ms" });
      gateway.answer = gateway.hold;
      await start();
      for (let count = 0; count < 6; count += 1) {
        await appendFile(join(dir, "grows"), "0123456789");
        await new Promise((resolve) => setTimeout(resolve, 400)); // several polls see the same
      }
      await eventually("it is taken", () => gateway.received.length > 0);
      deepEqual(gateway.texts(), ["0123456789".repeat(6)]);
      const [instance = ""] = (await names(dir, ".mayfly")).filter((name) => !name.endsWith(".lease"));
      await appendFile(join(dir, ".mayfly", instance, "grows"), "more");
      gateway.answer = done;
      gateway.release();
      await eventually("the new content is done", isDone(dir, 1));
      deepEqual(gateway.texts(), ["0123456789".repeat(6), `${"0123456789".repeat(6)}more`]);
      ok(gateway.received[0]?.id !== gateway.received[1]?.id);
      await source.stop();
    });

    test("a file that changes while it is read is read again", async () => {
      const dir = await newFolder();
      await drop(dir, ["a.bin"], "a".repeat(100_000));
      const stored: string[] = [];
      let released = 0;
      const stage = async (body: AsyncIterable<Uint8Array>) => {
        let text = "";
        for await (const piece of body) {
          if (text === "" && stored.length === 0)
            for (const each of await readdir(join(dir, ".mayfly")))
              if (!each.endsWith(".lease")) appendFileSync(join(dir, ".mayfly", each, "a.bin"), "more");
          text += Buffer.from(piece).toString();
        }
        stored.push(text);
        return { id: "A".repeat(22), bytes: text.length, sha256: "", release: () => void (released += 1) };
      };
      const { source, gateway, start, context } = started(dir, {}, { longBodies: () => ({ thresholdBytes: 1000, store: { stage } }) });
      await start();
      await eventually("it is done", isDone(dir, 1));
      deepEqual(
        stored.map((text) => text.length),
        [100_000, 100_004],
      );
      deepEqual(
        [gateway.received.length, gateway.received[0]?.storedBody?.bytes, gateway.received[0]?.body.length, released],
        [1, 100_004, 0, 2],
      );
      equal(context.counts.get("changed"), 1);
      await source.stop();
    });

    test("with a marker a file is taken when its marker is there, which then is gone", async () => {
      const dir = await newFolder();
      await drop(dir, ["a.csv", "b.csv"]);
      const { source, gateway, start } = started(dir, { marker: ".done" });
      await start();
      await aWhile();
      deepEqual(gateway.received.length, 0);
      await writeFile(join(dir, "b.csv.done"), "");
      await eventually("it is done", isDone(dir, 1));
      deepEqual([fileNames(gateway), await names(dir)], [["b.csv"], [".mayfly", "a.csv", "done", "failed"]]);
      await source.stop();
    });

    test("a claim that a crash left with its marker is completed", async () => {
      const dir = await newFolder();
      await drop(dir, ["a.csv"]);
      await mkdir(join(dir, ".mayfly/me"), { recursive: true });
      await writeFile(join(dir, ".mayfly/me/a.csv.done"), "");
      const { source, gateway, start } = started(dir, { marker: ".done" }, { recall: { read: async () => "me", write: async () => {} } });
      await start();
      await eventually("it is done", isDone(dir, 1));
      deepEqual([fileNames(gateway), await names(dir, ".mayfly/me")], [["a.csv"], []]);
      await source.stop();
    });

    test("two gateways on one folder: each file is delivered by one of them", async () => {
      const dir = await newFolder();
      const files = Array.from({ length: 60 }, (_, at) => `f${String(at).padStart(2, "0")}`);
      const two = [started(dir), started(dir)];
      for (const { gateway } of two)
        gateway.answer = async (incoming) => {
          await new Promise((resolve) => setTimeout(resolve, 150)); // the other one has time to see it
          return done(incoming);
        };
      await Promise.all(two.map(({ start }) => start()));
      await drop(dir, files);
      await eventually("all are done", isDone(dir, files.length), 30_000);
      for (const { source } of two) await source.stop();
      const [first = [], second = []] = two.map(({ gateway }) => fileNames(gateway) as string[]);
      deepEqual([...first, ...second].sort(), files, "none twice, none missing");
      ok(first.length > 0 && second.length > 0, `both worked: ${first.length} and ${second.length}`);
      for (const one of [first, second]) deepEqual(one, [...one].sort(), "in order");
    });

    test("files of a gateway that is gone are taken over after its lease; while it lives they are not", async () => {
      const dir = await newFolder();
      const proxy = await Proxy.open(rig.server.broker);
      const gone = started(dir, { port: proxy.port, lease: "2s" });
      gone.gateway.answer = gone.gateway.hold;
      await drop(dir, ["a", "b"]);
      await gone.start();
      await eventually("it has them", () => gone.gateway.received.length === 2);
      const other = started(dir, { lease: "2s" });
      await other.start();
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      deepEqual(other.gateway.received.length, 0, "the lease was renewed all the time");
      proxy.refuse(true);
      proxy.cut();
      await eventually("the other has done them", isDone(dir, 2));
      deepEqual(fileNames(other.gateway), ["a", "b"]);
      deepEqual(
        other.gateway.received.map(({ id }) => id),
        gone.gateway.received.map(({ id }) => id),
      );
      equal(other.context.counts.get("taken_over"), 2);
      ok(other.context.lines.some((line) => JSON.stringify(line).includes(codes.takenOver)));
      gone.gateway.release();
      proxy.refuse(false);
      await eventually("the first one sees it", () => gone.context.counts.get("taken") === 2);
      await gone.source.stop();
      await other.source.stop();
      await proxy.close();
    });

    test("files of one name, of two gateways that are gone and in the folder, all come", async () => {
      const dir = await newFolder();
      for (const folder of ["", ".mayfly/x", ".mayfly/y"]) {
        await mkdir(join(dir, folder), { recursive: true });
        await writeFile(join(dir, folder, "a"), folder);
      }
      const { source, gateway, start } = started(dir, { lease: "100ms", settle: "300ms" });
      await start();
      await eventually("all are done", isDone(dir, 3));
      deepEqual(gateway.texts().sort(), ["", ".mayfly/x", ".mayfly/y"]);
      await source.stop();
      deepEqual(await names(dir, ".mayfly"), []);
    });

    test("a gateway that starts again on its journal has its files back at once, under the same ids", async () => {
      const dir = await newFolder();
      const facts = new Map<string, string>();
      const recall = {
        read: async (name: string) => facts.get(name),
        write: async (name: string, fact: string) => void facts.set(name, fact),
      };
      const proxy = await Proxy.open(rig.server.broker);
      const killed = started(dir, { port: proxy.port }, { recall });
      killed.gateway.answer = killed.gateway.hold;
      await drop(dir, ["a"]);
      await killed.start();
      await eventually("it has it", () => killed.gateway.received.length === 1);
      await proxy.close();
      const instance = [...facts.values()][0];
      killed.gateway.release();
      await killed.source.stop();
      ok(existsSync(join(dir, ".mayfly", instance ?? "", "a")));
      const again = started(dir, {}, { recall });
      await again.start();
      await eventually("it is done", isDone(dir, 1));
      equal(again.gateway.received[0]?.id, killed.gateway.received[0]?.id);
      await again.source.stop();
    });

    test("cut in the middle of a long file, again and again: it comes once, and whole", async () => {
      const dir = await newFolder();
      const bytes = Buffer.alloc(24 * 2 ** 20);
      for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
      await writeFile(join(dir, "long.bin"), bytes);
      const hash = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex");
      const staged: string[] = [];
      let partly = 0;
      const stage = async (body: AsyncIterable<Uint8Array>) => {
        const sum = createHash("sha256");
        let length = 0;
        for await (const piece of body) {
          sum.update(piece);
          length += piece.length;
          if (length > 4 * 2 ** 20 && partly < 3) {
            partly += 1;
            proxy.cut();
          }
        }
        staged.push(sum.digest("hex"));
        return { id: "A".repeat(22), bytes: length, sha256: "", release: () => {} };
      };
      const proxy = await Proxy.open(rig.server.broker);
      const long = () => ({ thresholdBytes: 2 ** 20, store: { stage } });
      const { source, gateway, start, context } = started(dir, { port: proxy.port }, { longBodies: long });
      await start();
      await eventually("it is done", isDone(dir, 1), 60_000);
      deepEqual([gateway.received.length, staged, partly], [1, [hash(bytes)], 3]);
      deepEqual(hash(await readFile(join(dir, "done/long.bin"))), hash(bytes));
      equal(context.memory.all.takenBytes, 0);
      await source.stop();
      await proxy.close();
    });

    test("a message that runs while the connection is lost is not delivered again; its file is moved when the server is back", async () => {
      const dir = await newFolder();
      const proxy = await Proxy.open(rig.server.broker);
      const { source, gateway, start } = started(dir, { port: proxy.port, delete: true });
      gateway.answer = gateway.hold;
      await drop(dir, ["a"]);
      await start();
      await eventually("it has it", () => gateway.received.length === 1);
      proxy.refuse(true);
      proxy.cut();
      await eventually("it is told", () => source.health().detail.startsWith(codes.unreachable));
      gateway.release();
      await aWhile();
      proxy.refuse(false);
      await eventually("it is deleted", async () => {
        const [instance = "none"] = (await names(dir, ".mayfly")).filter((name) => !name.endsWith(".lease"));
        return (await names(dir, ".mayfly", instance)).length === 0;
      });
      await aWhile();
      deepEqual([gateway.received.length, await names(dir)], [1, [".mayfly", "failed"]]);
      await source.stop();
      await proxy.close();
    });

    test("what is refused comes again before what is behind it; a pause stops the reading; a name that is taken in done is kept", async () => {
      const dir = await newFolder();
      await mkdir(join(dir, "done"));
      await writeFile(join(dir, "done/a"), "older");
      await drop(dir, ["a", "b", "c"]);
      const { source, gateway, start } = started(dir);
      gateway.answer = (incoming, count) => (count <= 2 ? refused(100) : done(incoming));
      source.pause?.();
      await start();
      await aWhile();
      equal(gateway.received.length, 0);
      source.resume?.();
      await eventually("all are done", isDone(dir, 4));
      deepEqual(fileNames(gateway), ["a", "a", "a", "b", "c"]);
      equal(await readFile(join(dir, "done/a"), "utf8"), "older");
      await source.stop();
    });

    test("a file over the limit goes to failed; those that fit neither in memory wait", async () => {
      const dir = await newFolder();
      await writeFile(join(dir, "big"), Buffer.alloc(2_001));
      await writeFile(join(dir, "fits"), Buffer.alloc(2_000));
      const { source, gateway, start, context } = started(dir, { maxSize: "2000B" });
      const held = context.memory.uploads;
      const all = held.largestBytes;
      ok(held.tryTake(all));
      await start();
      await eventually("the big one is set aside", async () => (await names(dir, "failed")).length === 1);
      await aWhile();
      equal(gateway.received.length, 0);
      held.give(all);
      await eventually("the other is done", isDone(dir, 1), gatewayLimits.retryAfterMs * 5);
      deepEqual([fileNames(gateway), await names(dir, "failed")], [["fits"], ["big"]]);
      ok(context.lines.some(({ fields }) => fields["code"] === codes.limit));
      await source.stop();
    });

    test("a finished file that can't be moved is told, not delivered again, and moved when it can be", async () => {
      const dir = await newFolder();
      const { source, gateway, start } = started(dir, { pattern: "*.csv" });
      await start();
      await rm(join(dir, "done"), { recursive: true });
      await writeFile(join(dir, "done"), "a file in place of the folder");
      await drop(dir, ["a.csv"]);
      await eventually("it is told", () => source.health().detail.startsWith(codes.move));
      await aWhile();
      await rm(join(dir, "done"));
      await mkdir(join(dir, "done"));
      await eventually("it is moved", isDone(dir, 1));
      await eventually("it is well again", () => source.health().ready);
      equal(gateway.received.length, 1);
      await source.stop();
    });

    test("while many finished files can't be moved no others are taken, and all are once they can", async () => {
      const dir = await newFolder();
      const { source, gateway, start } = started(dir, { pattern: "*.csv" });
      await mkdir(join(dir, "done"), { recursive: true });
      await start();
      await rm(join(dir, "done"), { recursive: true });
      await writeFile(join(dir, "done"), "a file in place of the folder");
      const all = Array.from({ length: folderLimits.unended + 60 }, (_, at) => `${at + 1000}.csv`);
      await drop(dir, all);
      await eventually(
        "many can't be moved",
        () => Number(/_MOVE: (\d+)/.exec(source.health().detail)?.[1]) >= folderLimits.unended,
        60_000,
      );
      await aWhile();
      ok(gateway.received.length < folderLimits.unended + gatewayLimits.filesAtOnce, String(gateway.received.length));
      await rm(join(dir, "done"));
      await mkdir(join(dir, "done"));
      await eventually("all are moved", isDone(dir, all.length), 60_000);
      equal(gateway.received.length, all.length, "each came once");
      await source.stop();
    });

    test("a folder that vanishes is told, and made anew", async () => {
      const dir = await newFolder();
      const { source, gateway, start } = started(dir, { lease: "300ms" });
      await start();
      await rm(dir, { recursive: true });
      await eventually("it is told", () => source.health().detail.startsWith(codes.folder));
      await mkdir(join(dir, "done"), { recursive: true });
      await drop(dir, ["a"]);
      await eventually("it is done", isDone(dir, 1));
      await eventually("it is well again", () => source.health().ready);
      equal(gateway.received.length, 1);
      await source.stop();
    });

    test("killed and restarted, the server gives all files once", async () => {
      const own = await each.open();
      const dir = own.files;
      const proxy = await Proxy.open(own.broker);
      const { source, gateway, start } = started(dir, { ...own.login, port: proxy.port });
      await start();
      const files = Array.from({ length: 30 }, (_, at) => `f${String(at).padStart(2, "0")}`);
      for (const [at, name] of files.entries()) {
        await drop(dir, [name]);
        if (at % 10 === 5) {
          await own.broker.down("SIGKILL");
          proxy.cut();
          await own.broker.up();
        }
      }
      await eventually("all are done", isDone(dir, files.length), 40_000);
      deepEqual((fileNames(gateway) as string[]).sort(), files);
      await source.stop();
      await proxy.close();
      await own.broker.remove();
    });
  });
  return rig;
}
