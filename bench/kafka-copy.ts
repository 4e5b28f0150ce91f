/** The same job by hand, without isolation: what came together is transformed by V8 and sent together. `node dist/bench/kafka-copy.js BROKER FROM TO`. */
import { Consumer, Producer } from "@platformatic/kafka";
import { kafkaUser } from "../connectors/testing/kafka-server.ts";
import { transformSource } from "./start.ts";

const [, , broker = "", from = "", to = ""] = process.argv;
const client = { clientId: "copy", bootstrapBrokers: [broker], sasl: kafkaUser };
const consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({ ...client, groupId: "copy" });
const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({ ...client, idempotent: true });
const transform = (0, eval)(`(${transformSource})`) as (text: string) => string;
const mostTogether = 1000;

const stream = await consumer.consume({ topics: [from], autocommit: false, mode: "earliest" });
let waiting: { topic: string; key: Buffer; value: Buffer }[] = [];
let commits: (() => unknown)[] = [];
let sending: Promise<unknown> = Promise.resolve();
const send = (): Promise<unknown> => {
  const [messages, done] = [waiting, commits];
  [waiting, commits] = [[], []];
  return messages.length === 0 ? sending : producer.send({ messages, acks: -1 }).then(() => done.at(-1)?.());
};
for await (const message of stream) {
  waiting.push({ topic: to, key: message.key, value: Buffer.from(transform(message.value.toString())) });
  commits.push(() => message.commit());
  if (waiting.length >= mostTogether || stream.readableLength === 0) {
    await sending;
    sending = send();
  }
}
