/** Streams over whole bodies, in a machine: what a body from a stream is to fetch, replies and sends, and what fails. */
import { deepEqual, match } from "node:assert/strict";
import { test } from "node:test";
import { deliverBody, run } from "../testing/fake-machine.ts";

async function end(handler: string) {
  const source = `import { flow } from "mayfly"; const letters = () => ReadableStream.from(["a", "b"]).pipeThrough(new TextEncoderStream()); export default flow(${handler});`;
  return (await run(source, deliverBody("x"))).effects;
}

test("a stream is replied and fetched with, read to its end", async () => {
  const replied = (await end('() => new Response(new Blob(["hello"]).stream())')).at(-1);
  if (replied?.kind !== "done") throw new Error(JSON.stringify(replied));
  deepEqual(Buffer.from(replied.reply?.body ?? []).toString(), "hello");
  const asked = await end('async () => { await fetch("https://a.example", { method: "POST", body: letters() }); }');
  const call = asked.find(({ kind }) => kind === "call");
  if (call?.kind !== "call") throw new Error(JSON.stringify(asked));
  deepEqual(Buffer.from(call.body).toString(), "ab");
});

test("a stream that has not ended, or can't be sent, says what to do", async () => {
  const failure = async (handler: string): Promise<string> => {
    const last = (await end(handler)).at(-1);
    return last?.kind === "fail" ? last.message : JSON.stringify(last);
  };
  match(await failure("() => new Response(new ReadableStream({}))"), /has not ended: wait for its end/);
  match(await failure("(_, { to }) => to.erp.send(letters())"), /a stream can't be sent: read it first/);
  match(await failure('() => new Response(ReadableStream.from(["text"])).text()'), /neither an ArrayBuffer nor a view/);
});
