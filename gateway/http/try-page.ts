/** The page to try a contract: lists the document's operations and sends requests to the gateway it came from. Plain DOM, texts only, nothing loaded. */

export const tryStyle = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px; margin: .6rem 0; padding: .5rem .8rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
label { display: block; margin: .5rem 0; }
input, textarea, select { font: 14px/1.4 ui-monospace, monospace; width: 100%; box-sizing: border-box; padding: .3rem; }
textarea { min-height: 6rem; }
button { font: inherit; padding: .3rem 1.2rem; margin-top: .4rem; }
pre { overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; background: color-mix(in srgb, currentColor 8%, transparent); border-radius: 6px; }
small { opacity: .8; }
`;

export const tryScript = `
"use strict";
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const main = document.querySelector("main");
const own = (holder, name) => (holder && Object.hasOwn(holder, name) ? holder[name] : undefined);
let api = {};
const resolved = (value) => {
  for (let count = 0; count < 32 && value && typeof value.$ref === "string"; count++)
    value = value.$ref.split("/").slice(1).reduce((holder, step) => own(holder, step.replace(/~1/g, "/").replace(/~0/g, "~")), api);
  return value || {};
};
const sample = (given, depth = 0) => {
  const schema = resolved(given);
  if (schema.example !== undefined) return schema.example;
  if (Array.isArray(schema.examples) && schema.examples.length > 0) return schema.examples[0];
  for (const name of ["default", "const"]) if (schema[name] !== undefined) return schema[name];
  if (Array.isArray(schema.enum)) return schema.enum[0];
  for (const name of ["oneOf", "anyOf"]) if (Array.isArray(schema[name])) return sample(schema[name][0], depth + 1);
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map((each) => sample(each, depth + 1)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object" || schema.properties) {
    if (depth > 4) return {};
    const shown = Object.entries(schema.properties || {}).filter(([name, each]) => !resolved(each).readOnly && (depth < 2 || (schema.required || []).includes(name)));
    return Object.fromEntries(shown.map(([name, each]) => [name, sample(each, depth + 1)]));
  }
  if (type === "array") return depth > 4 ? [] : [sample(schema.items, depth + 1)];
  if (type === "integer" || type === "number") return schema.minimum ?? (typeof schema.exclusiveMinimum === "number" ? schema.exclusiveMinimum + 1 : 1);
  if (type === "boolean") return true;
  return type === "null" ? null : "text";
};
const field = (title, input) => make("label", {}, title, input);
const encoded = (parameter, text) => (parameter.style === "form" && parameter.explode === false ? text.split(",").map(encodeURIComponent).join(",") : encodeURIComponent(text));
const send = async (path, method, inputs, media, body, extra, answer) => {
  const headers = new Headers();
  const query = [];
  let target = path;
  for (const { parameter, input } of inputs) {
    const text = input.value;
    if (parameter.in === "path") target = target.replace("{" + parameter.name + "}", () => encodeURIComponent(text));
    else if (text === "") continue;
    else if (parameter.in === "header") headers.set(parameter.name, text);
    else if (parameter.in === "query") {
      const list = resolved(parameter.schema).type === "array" && parameter.explode !== false ? text.split(",") : [text];
      for (const each of list) query.push(encodeURIComponent(parameter.name) + "=" + encoded(parameter, each));
    }
  }
  for (const line of extra.value.split("\\n")) {
    const mark = line.indexOf(":");
    if (mark > 0) headers.set(line.slice(0, mark).trim(), line.slice(mark + 1).trim());
  }
  if (media) headers.set("content-type", media.value);
  const hasBody = media && body.value !== "";
  const url = target + (query.length > 0 ? "?" + query.join("&") : "");
  const response = await fetch(url, { method, headers, ...(hasBody ? { body: body.value } : {}) });
  const text = await response.text();
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {}
  const lines = [method + " " + url, response.status + " " + response.statusText, ...[...response.headers].map(([name, value]) => name + ": " + value)];
  answer.textContent = lines.join("\\n") + "\\n\\n" + shown.slice(0, 100000);
};
const operationOf = (path, method, operation) => {
  const inputs = [];
  const form = make("form");
  for (const each of operation.parameters || []) {
    const parameter = resolved(each);
    const schema = resolved(parameter.schema);
    if (parameter.in === "cookie") {
      form.append(make("small", {}, "Cookie " + parameter.name + ": set by the browser. "));
      continue;
    }
    const input = make("input", parameter.required ? { required: "" } : {});
    if (parameter.required || schema.default !== undefined) {
      const value = sample(parameter.schema);
      input.value = typeof value === "object" && value !== null && !Array.isArray(value) ? JSON.stringify(value) : String(value);
    }
    inputs.push({ parameter, input });
    form.append(field(parameter.name + " (" + parameter.in + (schema.type ? ", " + schema.type : "") + (parameter.required ? ", required" : "") + ")", input));
  }
  const content = Object.entries(resolved(operation.requestBody).content || {});
  let media;
  let body;
  if (content.length > 0) {
    media = make("select");
    for (const [type] of content) media.append(make("option", {}, type));
    body = make("textarea");
    const fill = () => {
      const found = content.find(([type]) => type === media.value);
      const value = found && found[1].schema ? sample(found[1].schema) : "";
      body.value = typeof value === "string" ? value : media.value.endsWith("urlencoded") ? String(new URLSearchParams(value)) : JSON.stringify(value, null, 2);
    };
    media.addEventListener("change", fill);
    fill();
    form.append(field("Content-Type", media), field("Body", body));
  }
  const extra = make("textarea", { placeholder: "Authorization: Bearer …" });
  const answer = make("pre", { role: "status" });
  form.append(field("More headers, one a line", extra), make("button", {}, "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.textContent = "…";
    send(path, method.toUpperCase(), inputs, media, body, extra, answer).catch((error) => (answer.textContent = String(error)));
  });
  const title = make("summary", {}, make("b", {}, method.toUpperCase()), " " + path + " ", make("small", {}, operation.summary || operation.operationId || ""));
  const text = operation.description ? [make("p", {}, operation.description)] : [];
  return make("details", {}, title, ...text, form);
};
const show = async () => {
  const response = await fetch(main.dataset.document);
  if (!response.ok) throw new Error("the document can't be read: " + response.status);
  api = await response.json();
  document.title = api.info.title;
  main.replaceChildren(make("h1", {}, api.info.title + " " + api.info.version), make("p", {}, make("a", { href: main.dataset.document }, "OpenAPI document")));
  if (api.info.description) main.append(make("p", {}, api.info.description));
  for (const [path, item] of Object.entries(api.paths)) for (const [method, operation] of Object.entries(item)) main.append(operationOf(path, method, operation));
};
show().catch((error) => main.replaceChildren(make("p", { role: "alert" }, String(error))));
`;

/** `document`: path of the document. */
export function tryPage(document: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>API</title><style>${tryStyle}</style></head>
<body><main data-document="${document}">Loading…</main><script>${tryScript}</script></body>
</html>
`;
}
