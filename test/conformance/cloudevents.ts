/** The CloudEvents project's scenarios for the HTTP binding, sent over HTTP to `serve`, whose flow shows what it got. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { serve } from "#cli";
import { type CaseResult, failed, passed, type Suite } from "./case.ts";

interface Scenario {
  readonly name: string;
  readonly request: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly json: string;
}

const cells = (line: string): string[] =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** Scenario outlines with one doc string for the request, a table of attributes, one doc string of JSON, and examples. */
function scenarios(text: string): Scenario[] {
  const all: Scenario[] = [];
  for (const block of text.split(/^ *Scenario(?: Outline)?: /m).slice(1)) {
    const [name = ""] = block.split("\n", 1);
    const strings = [...block.matchAll(/^( *)"""\n([\s\S]*?)^ *"""/gm)].map(([, indent = "", body = ""]) =>
      body.replaceAll(new RegExp(`^${indent}`, "gm"), "").replace(/\n$/, ""),
    );
    const table = /Then the attributes are:\n((?: *\|.*\n)+)/.exec(block)?.[1] ?? "";
    const examples = /Examples:\n((?: *\|.*(?:\n|$))+)/.exec(block)?.[1]?.trim().split("\n").map(cells) ?? [[], []];
    const [columns = [], ...rows] = examples;
    for (const row of rows) {
      const filled = (value: string): string =>
        columns.reduce((made, column, index) => made.replaceAll(`<${column}>`, row[index] ?? ""), value);
      const lines = table.trim().split("\n").slice(1);
      const attributes = Object.fromEntries(lines.map((line) => cells(filled(line)) as [string, string]));
      all.push({ name: filled(name), request: filled(strings[0] ?? ""), attributes, json: strings[1] ?? "" });
    }
  }
  return all;
}

/** Sends a request as it stands in a scenario, with its body's true length; gives the whole answer. */
async function sent(url: string, request: string): Promise<string> {
  const [head = "", ...rest] = request.split("\n\n");
  const body = rest.join("\n\n");
  const lines = head.split("\n").map((line) => (/^content-length:/i.test(line) ? `Content-Length: ${Buffer.byteLength(body)}` : line));
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (part: string) => (answer += part));
  socket.write([...lines, "Connection: close", "", body].join("\r\n"));
  await once(socket, "close");
  return answer;
}

function judge({ name, attributes, json }: Scenario, answer: string): CaseResult {
  if (!answer.startsWith("HTTP/1.1 200 ")) return failed(name, answer);
  const got = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as { headers: Record<string, string>; body: string };
  for (const [key, value] of Object.entries(attributes)) {
    const found = got.headers[key === "datacontenttype" ? "content-type" : `ce-${key}`];
    if (found !== value) return failed(name, `${key} is ${found}, not ${value}`);
  }
  return isDeepStrictEqual(JSON.parse(got.body), JSON.parse(json)) ? passed(name) : failed(name, `the data are ${got.body}`);
}

const project = {
  "echo.ts": 'import { flow } from "mayfly"; export default flow((msg) => ({ headers: msg.headers, body: msg.text() }));',
  "mayfly.yaml": `flows: { echo: { flow: echo.ts, from: [ { http: { path: /someresource, cloudevents: true } } ] } }
log: { level: error }
journal: { memory: true }
`,
};

export const cloudevents: Suite = {
  name: "cloudevents",
  about: "CloudEvents over HTTP",
  run: async ({ data, filter }) => {
    const feature = join(data, "conformance", "cloudevents", "features", "http-protocol-binding.feature");
    const folder = await mkdtemp(join(tmpdir(), "mayfly-cloudevents-"));
    for (const [name, text] of Object.entries(project)) await writeFile(join(folder, name), text);
    const serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0 });
    const results: CaseResult[] = [];
    try {
      for (const scenario of scenarios(await readFile(feature, "utf8")))
        if (filter === undefined || scenario.name.includes(filter))
          results.push(judge(scenario, await sent(serving.url, scenario.request)));
      return results;
    } finally {
      await serving.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
