/** Raw bytes to a server, and the answers that came back. */
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Lower-case `name: value` lines, sorted; without those that differ from one run to the next. */
  readonly head: readonly string[];
  readonly body: string;
}

const volatile = /^(date|mayfly-message-id): /;

/** The whole answers at the beginning of a text; `methods`: of the requests, since HEAD has no body. */
export function answersIn(text: string, methods: readonly string[] = []): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; ; ) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return answers;
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(first.split(" ")[1]);
    const head = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()));
    const length = Number(head.find((line) => line.startsWith("content-length: "))?.slice(16) ?? 0);
    const isBodiless = methods[answers.filter(({ status }) => status >= 200).length] === "HEAD" || status < 200 || status === 204;
    const from = end + 4;
    const to = from + (isBodiless ? 0 : length);
    if (rest.length < to) return answers;
    const body = rest.slice(from, to).replace(/"id":"[^"]*"/, '"id":"…"');
    answers.push({ status, head: head.filter((line) => !volatile.test(line)).sort(), body });
    rest = rest.slice(to);
  }
}

/** Sends bytes to a port of this computer; resolves once there are so many final answers, and the end where `closes`. */
export function rawAnswers(
  port: number,
  bytes: Uint8Array,
  wanted: { readonly answers: number; readonly closes: boolean; readonly methods: readonly string[] },
): Promise<readonly RawAnswer[]> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1");
    const finish = (): void => {
      socket.destroy();
      resolve(answersIn(text, wanted.methods));
    };
    socket.setEncoding("latin1");
    socket.on("data", (more: string) => {
      text += more;
      const final = answersIn(text, wanted.methods).filter(({ status }) => status >= 200);
      if (final.length >= wanted.answers && !wanted.closes) finish();
    });
    socket.on("error", finish); // a reset after the answer
    socket.on("close", finish);
    socket.write(bytes);
  });
}
