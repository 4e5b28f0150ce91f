/** Bodies as a machine reads them: JSON beside V8's, CSV and XML over a round trip of their own writers. */
import { defaultFlowLimits, type DoneEffect, type FailEffect } from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import { embeddedMonitor } from "#monitors";
import { deliver, imageOf } from "../flow-image.ts";
import { faulty, type Target, type Verdict } from "../target.ts";

const limits = { ...defaultFlowLimits, cpuMs: 2_000 };
/** Ends a body may have in a machine. */
const refusals = new Set(["MF_MESSAGE_INVALID", "MF_CSV_INVALID", "MF_XML_INVALID", "MF_CPU_LIMIT", "MF_MEMORY_LIMIT", "MF_EFFECT_LIMIT"]);

interface Format {
  readonly name: string;
  readonly contentType: string;
  readonly code: string;
  readonly seeds: readonly string[];
  readonly words: readonly string[];
  /** Why this reply to this body is wrong; undefined when it is right or nobody can tell. */
  readonly fault: (body: Uint8Array, reply: string | undefined) => string | undefined;
}

async function openFormat({ name, contentType, code, seeds, words, fault }: Format): Promise<Target> {
  const monitor = embeddedMonitor({ workers: 1 });
  const image = await monitor.load(await imageOf(code));
  return {
    name,
    seeds: seeds.map(toUtf8),
    words,
    run: async (input): Promise<Verdict> => {
      const { status, effects, failure } = await monitor.start(image, deliver(input, contentType), limits).first;
      const last = effects.at(-1);
      const failed = failure ?? (last?.kind === "fail" ? (last as FailEffect) : undefined);
      if (failed !== undefined) {
        const signature = `${failed.code}: ${failed.message.replace(/[\d"'].*/s, "").slice(0, 60)}`;
        if (!refusals.has(failed.code)) return faulty(signature, `${failed.code}: ${failed.message}`);
        const wrong = failed.code === "MF_CPU_LIMIT" || failed.code === "MF_MEMORY_LIMIT" ? undefined : fault(input, undefined);
        return wrong === undefined ? { signature } : faulty(signature, `${wrong}, though: ${failed.message}`);
      }
      if (status !== "done") return faulty(status, `the machine is ${status}`);
      const reply = fromUtf8((last as DoneEffect).reply?.body ?? new Uint8Array(0));
      const wrong = fault(input, reply);
      const signature = `read: ${reply.replace(/[^[\]{}:,"\\]+/g, "v").slice(0, 24)}`;
      return wrong === undefined ? { signature } : faulty(signature, wrong);
    },
    close: () => monitor.close(),
  };
}

/** As V8 reads the text; undefined where the bytes are no UTF-8, or begin with a mark. */
function oracle(body: Uint8Array): { readonly json: string | undefined } | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
  if (text.startsWith("\ufeff") || text.includes("\0")) return undefined; // with zeros it may pass for UTF-16
  try {
    return { json: JSON.stringify(JSON.parse(text)) };
  } catch {
    return { json: undefined };
  }
}

export function openJson(): Promise<Target> {
  return openFormat({
    name: "json",
    contentType: "application/json",
    code: "export default flow((msg) => new Response(JSON.stringify(msg.json())));",
    seeds: [
      '{"id":7,"lines":[{"sku":"PEN-1","qty":3,"price":2.5}],"note":null,"ok":true}',
      '[1,-0,1e400,5e-324,0.1,"\\u00fc\\ud83d\\ude00\\n",[],{}," \\" "]',
      '{"a":1,"a":2,"__proto__":{"x":1},"constructor":[],"0":0,"":" "}',
    ],
    words: ["__proto__", "\\u0000", "\\ud800", "1e308", "-0", "null", "[[[[", '{"a":', "\u00e9", "\u2028", "18446744073709551616"],
    fault: (body, reply) => {
      const expected = oracle(body);
      if (expected === undefined) return undefined;
      if (expected.json === reply) return undefined;
      return `V8 gives ${String(expected.json).slice(0, 200)}, the machine ${String(reply).slice(0, 200)}`;
    },
  });
}

/** The reply is `[first, second]`: what was read, and what was read of what its writer made of it. */
function sameTwice(_body: Uint8Array, reply: string | undefined): string | undefined {
  if (reply === undefined) return undefined;
  const [first, second] = JSON.parse(reply) as [unknown, unknown];
  const [one, two] = [JSON.stringify(first), JSON.stringify(second)];
  return one === two ? undefined : `a round trip makes ${two.slice(0, 200)} of ${one.slice(0, 200)}`;
}

export function openCsv(): Promise<Target> {
  return openFormat({
    name: "csv",
    contentType: "text/csv",
    code: `export default flow((msg) => {
  const rows = msg.csv({ header: false });
  if (rows.length === 0) return [rows, rows];
  return [rows, csv.parse(csv.stringify(rows, { header: false }), { header: false, delimiter: "," })];
});`,
    seeds: ['a,b\r\n1,"x ""y"""\r\n', 'id;name\n1;"M\u00fcller\nBerta"\n', "a,b\n1,2\r\n3,4\r5,6", ',,\n\n""\n'],
    words: ['"', '""', ",", ";", "\t", "\r\n", "\n", "\r", "sep=;\n", "\ufeff"],
    fault: sameTwice,
  });
}

export function openXml(): Promise<Target> {
  return openFormat({
    name: "xml",
    contentType: "application/xml",
    code: "export default flow((msg) => new Response(JSON.stringify(msg.xml()) ?? 'null'));",
    seeds: [
      '<?xml version="1.0" encoding="UTF-8"?>\n<order id="7"><line qty="3">PEN &amp; INK</line><line/><!-- no --></order>',
      '<a:b xmlns:a="urn:x" a:c="1"><![CDATA[<raw>]]>&#x1F600;</a:b>',
      '<!DOCTYPE a [<!ENTITY e "x"><!ENTITY f "&e;&e;">]><a>&f;</a>',
    ],
    words: [
      "<a>",
      "</a>",
      "<![CDATA[",
      "]]>",
      "<!--",
      "-->",
      "&lt;",
      "&#0;",
      "&#xD800;",
      "<!DOCTYPE",
      "<!ENTITY",
      'encoding="latin1"',
      "__proto__",
    ],
    fault: () => undefined,
  });
}

export function openForm(): Promise<Target> {
  return openFormat({
    name: "form",
    contentType: "multipart/form-data; boundary=b",
    code: `async function shown(form) {
  return Promise.all([...form].map(async ([name, value]) => [name, typeof value === "string" ? value : [value.name, value.type, (await value.bytes()).toHex()]]));
}
const lines = (text) => text.replace(/\\r\\n?|\\n/g, "\\r\\n"); // as forms are written
export default flow(async (msg) => {
  const form = msg.formData({ malformed: "replace" });
  const first = (await shown(form)).map(([name, value]) => [lines(name), typeof value === "string" ? lines(value) : [value[0], value[1] || "application/octet-stream", value[2]]]);
  return new Response(JSON.stringify([first, await shown(await new Response(form).formData())]));
});`,
    seeds: [
      '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=f; filename="x.csv"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n3,4\r\n--b--\r\n',
      "--b\r\nContent-Disposition: form-data; filename*=utf-8''%C3%BC; name=\"%22%0A\"\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--b--",
    ],
    words: [
      "--b",
      "--b--",
      "\r\n",
      "\r\n\r\n",
      "\r\n--b\r\n",
      "; filename=",
      "name*=utf-8''%FF",
      '"',
      "%22",
      "%0D%0A",
      "\r",
      "content-type: ",
      "\0",
    ],
    fault: sameTwice,
  });
}
