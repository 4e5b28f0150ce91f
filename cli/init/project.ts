/** The files of a new project. Kept as text: they are the user's from the moment they are written. */
import { engineLibs } from "#image";

const flow = `import { flow } from "mayfly";

interface Greeting {
  name: string;
  language?: "en" | "de" | "fr";
}

const words = { en: "Hello", de: "Hallo", fr: "Bonjour" };

export default flow<"audit">(async (msg, { to, log }) => {
  const { name, language = "en" } = msg.json<Greeting>();
  const greeting = \`\${words[language]}, \${name}!\`;

  log.info("greeted", { name, language });
  to.audit.send({ name, greeting }, { key: name }); // leaves only if the flow completes
  return { greeting }; // the reply
});
`;

const flowTest = `# yaml-language-server: $schema=../node_modules/mayfly/cli/flow-test.schema.json
# Run with: npx mayfly test
flow: hello.ts
cases:
  - name: greets in the language asked for
    message: { json: { name: Ada, language: de } }
    expect:
      reply: { json: { greeting: "Hallo, Ada!" } }
      sends:
        - { outlet: audit, key: Ada, json: { name: Ada, greeting: "Hallo, Ada!" } }
      logs:
        - { level: info, text: greeted, fields: { language: de } }

  - name: refuses what is not JSON
    message: { text: "not json", contentType: application/json }
    expect:
      error: { code: MF_MESSAGE_INVALID, retry: false }
`;

const config = `# yaml-language-server: $schema=./node_modules/mayfly/gateway/mayfly.schema.json
# Sources and outlets of the flows. \${NAME} is read from the environment.
flows:
  hello:
    flow: flows/hello.ts
    from:
      - http: { method: POST, path: /hello }
    to:
      audit: { file: { dir: ./audit, name: "{date}.jsonl", append: true } }

http: { port: 8080 }
`;

const readme = (name: string): string => `# ${name}

A Mayfly project: each message runs in a fresh machine.

| | |
| --- | --- |
| \`flows/hello.ts\` | the flow: code that handles a message |
| \`flows/hello.flow-test.yaml\` | its tests |
| \`mayfly.yaml\` | its deployment: sources and outlets |
| \`.vscode/launch.json\` | VS Code: F5 debugs the flow, or a message that was served |

    npm install
    npx mayfly test                                              # the flow tests
    npx mayfly run flows/hello.ts --message samples/hello.json   # one message, nothing sent anywhere
    npx mayfly serve                                             # then, elsewhere:
    curl -d '{"name":"Ada"}' -H content-type:application/json localhost:8080/hello
    cat audit/*.jsonl

\`npx mayfly dev\` also serves, and reloads when you edit.
`;

/** VS Code: F5 debugs a recorded message, or a file as a message of the flow that is open. */
const launch = {
  version: "0.2.0",
  configurations: [
    {
      name: "Debug a recorded message",
      type: "node",
      request: "launch",
      program: "${workspaceFolder}/node_modules/mayfly/scripts/mayfly.mjs",
      args: ["debug", "${input:message}", "--inspect"],
      cwd: "${workspaceFolder}",
      console: "integratedTerminal",
      pauseForSourceMap: true,
      skipFiles: ["<node_internals>/**", "mayfly:**", "**/node_modules/**"],
    },
    {
      name: "Debug this flow with a message",
      type: "node",
      request: "launch",
      program: "${workspaceFolder}/node_modules/mayfly/scripts/mayfly.mjs",
      args: ["debug", "${file}", "-m", "${input:file}", "--inspect"],
      cwd: "${workspaceFolder}",
      console: "integratedTerminal",
      pauseForSourceMap: true,
      skipFiles: ["<node_internals>/**", "mayfly:**", "**/node_modules/**"],
    },
  ],
  inputs: [
    { id: "message", type: "promptString", description: "The message's id, as `mayfly messages ls` shows it" },
    { id: "file", type: "promptString", description: "The message's body", default: "samples/hello.json" },
  ],
};

const scripts = { test: "mayfly test", start: "mayfly serve", dev: "mayfly dev" };
const ignored = "node_modules/\n.mayfly/\naudit/\n*.mfi\n";

export function projectFiles(name: string, dependency: string): Readonly<Record<string, string>> {
  const manifest = { name, version: "0.1.0", private: true, type: "module", scripts, dependencies: { mayfly: dependency } };
  const editor = {
    compilerOptions: {
      target: "ES2025",
      lib: [...engineLibs],
      module: "ESNext",
      moduleResolution: "bundler",
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ["mayfly/globals"],
    },
    include: ["flows"],
    exclude: ["**/*.flow-test.ts"],
  };
  return {
    "package.json": `${JSON.stringify(manifest, undefined, 2)}\n`,
    "tsconfig.json": `${JSON.stringify(editor, undefined, 2)}\n`,
    "mayfly.yaml": config,
    "flows/hello.ts": flow,
    "flows/hello.flow-test.yaml": flowTest,
    "samples/hello.json": `${JSON.stringify({ name: "Ada", language: "fr" })}\n`,
    "README.md": readme(name),
    ".vscode/launch.json": `${JSON.stringify(launch, undefined, 2)}\n`,
    ".gitignore": ignored,
  };
}

type Manifest = Readonly<Record<string, unknown>>;

function section(manifest: Manifest, name: string): Manifest {
  const value = manifest[name];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Manifest) : {};
}

/**
 * A package.json that is there, with Mayfly added: everything in it stays, a script or a dependency of the same name as well. Undefined when
 * the text is not a JSON object.
 */
export function mergedManifest(text: string, dependency: string): string | undefined {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    return undefined;
  }
  if (typeof manifest !== "object" || manifest === null || Array.isArray(manifest)) return undefined;
  const found = manifest as Manifest;
  const has = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"].some(
    (name) => "mayfly" in section(found, name),
  );
  const merged = {
    ...found,
    scripts: { ...scripts, ...section(found, "scripts") },
    ...(has ? {} : { dependencies: { ...section(found, "dependencies"), mayfly: dependency } }),
  };
  const indent = /^[{\s]*?\n([ \t]+)"/.exec(text)?.[1] ?? "  ";
  return `${JSON.stringify(merged, undefined, indent)}\n`;
}

/** A .gitignore that is there, with the lines added that it lacks. */
export function mergedIgnore(text: string): string {
  const known = new Set(text.split(/\r?\n/).map((line) => line.trim()));
  const missing = ignored.split("\n").filter((line) => line !== "" && !known.has(line));
  if (missing.length === 0) return text;
  return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`;
}
