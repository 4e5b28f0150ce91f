/** One deployed function: its versions, a canary, its log as it grows. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { aliasesOf, type DeployedFunction, type FunctionVersion, joinedLines, type LogLine } from "../model/functions.ts";
import { ago, percent, shortHash, time } from "../model/format.ts";
import { limits } from "../model/limits.ts";
import { type ApiError, ask } from "../net/client.ts";
import { offered } from "../net/offered.ts";
import { useLoaded } from "../net/loading.ts";
import { functionsPath, go, href, route } from "../router.ts";
import { announce, asRefusal, Await, Badge, Button, Dialog, Empty, Failed, Missing, Panel } from "../ui/parts.tsx";

interface Of {
  readonly of: DeployedFunction;
  readonly changed: () => void;
}

/** A change is made for the revision that is seen: somebody else's in between is told, and nothing happens. */
function change(
  { name, tenant, revision }: DeployedFunction,
  what: readonly string[],
  method: "PUT" | "DELETE",
  json?: unknown,
): Promise<unknown> {
  return ask(functionsPath([name, ...what], tenant), { method, json, ifMatch: `"${revision}"` });
}

function Version({ of, version, changed }: Of & { readonly version: FunctionVersion }): JSX.Element {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [share, setShare] = useState(5);
  const [asking, setAsking] = useState(false);
  const { canary, live, name } = of;
  const isCanary = canary?.version === version.version;
  const act = async (text: string, work: () => Promise<unknown>): Promise<void> => {
    setError(undefined);
    await work();
    announce(`${name}: ${text}`);
    setAsking(false);
    changed();
  };
  return (
    <li class="function-version">
      <span>
        <b>{version.version}</b>{" "}
        {aliasesOf(of, version.version).map((alias) => (
          <Badge key={alias} tone="calm">
            {alias}
          </Badge>
        ))}
        <code>{shortHash(version.image)}</code>
        <span class="muted">
          {" "}
          {ago(Date.now() - version.at)} by {version.by}
        </span>
      </span>
      <span class="actions">
        {version.version === live ? <Badge tone="ok">serves</Badge> : null}
        {isCanary ? (
          <>
            <Badge tone="accent">{`gets ${percent(canary.share)}`}</Badge>
            <Button onClick={() => act("the canary has ended", () => change(of, ["canary"], "DELETE"))} failed={setError}>
              End canary
            </Button>
          </>
        ) : null}
        {version.version === live ? null : (
          <>
            <Button
              onClick={() => act(`serves version ${version.version}`, () => change(of, ["live"], "PUT", { version: version.version }))}
              failed={setError}
            >
              Serve
            </Button>
            {isCanary ? null : <Button onClick={() => setAsking(true)}>Canary</Button>}
          </>
        )}
      </span>
      {error === undefined || asking ? null : <Failed error={error} />}
      {asking ? (
        <Dialog
          title={`Version ${version.version} as a canary`}
          close={() => setAsking(false)}
          actions={
            <Button
              kind="primary"
              onClick={() =>
                act(`version ${version.version} gets ${share} %`, () =>
                  change(of, ["canary"], "PUT", { version: version.version, share: share / 100 }),
                )
              }
              failed={setError}
            >
              Begin
            </Button>
          }
        >
          <label>
            Share of the messages, in percent{" "}
            <input type="number" min={1} max={99} value={share} onInput={(event) => setShare(Number(event.currentTarget.value))} />
          </label>
          <p class="muted">It runs under the settings of version {live}.</p>
          {error === undefined ? null : <Failed error={error} />}
        </Dialog>
      ) : null}
    </li>
  );
}

/** The last lines, and new ones as they come, while the tab is seen. */
function useLog(path: string): { readonly lines: readonly LogLine[]; readonly error: ApiError | undefined } {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    const load = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const separator = path.includes("?") ? "&" : "?";
          const { lines: more } = await ask<{ readonly lines: readonly LogLine[] }>(`${path}${separator}after=${last}`, {
            signal: controller.signal,
          });
          last = more.at(-1)?.line ?? last;
          if (more.length > 0) setLines((before) => joinedLines(before, more, limits.logLines));
          setError(undefined);
        }
      } catch (caught) {
        if (!controller.signal.aborted) setError(asRefusal(caught));
      }
      if (!controller.signal.aborted) timer = setTimeout(() => void load(), limits.logMs);
    };
    void load();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path]);
  return { lines, error };
}

function Log({ of }: { readonly of: DeployedFunction }): JSX.Element {
  const { lines, error } = useLog(functionsPath([of.name, "logs"], of.tenant));
  return (
    <Panel title="Log">
      {error === undefined ? null : <Failed error={error} />}
      {lines.length === 0 ? (
        <Empty title="No line since the gateway's start." />
      ) : (
        <ol class="log-lines" tabIndex={0} aria-label="Log lines">
          {lines.map((line) => (
            <li key={line.line} class={line.level}>
              <time>{time(line.at)}</time> <span class="level">{line.level}</span> {line.text}{" "}
              {Object.keys(line.fields).length === 0 ? null : <code>{JSON.stringify(line.fields)}</code>}
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Remove({ of }: { readonly of: DeployedFunction }): JSX.Element {
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const remove = async (): Promise<void> => {
    await change(of, [], "DELETE");
    announce(`${of.name} is removed`);
    go(href(["functions"], { tenant: of.tenant ?? undefined }));
  };
  return (
    <>
      <Button kind="danger" onClick={() => setAsking(true)}>
        Remove
      </Button>
      {asking ? (
        <Dialog
          title={`Remove ${of.name}?`}
          close={() => setAsking(false)}
          actions={
            <Button kind="danger" onClick={remove} failed={setError}>
              Remove it
            </Button>
          }
        >
          <p>Its URL ends, and all its versions go. Its state stays, for a function of the same name.</p>
          {error === undefined ? null : <Failed error={error} />}
        </Dialog>
      ) : null}
    </>
  );
}

function Body({ of, changed }: Of): JSX.Element {
  const live = of.versions.find(({ version }) => version === of.live);
  const tenant = of.tenant ?? undefined;
  return (
    <>
      <div class="screen-head">
        <h1>
          <a href={href(["functions"], { tenant })} class="crumb">
            Functions
          </a>
          {of.name} <Badge tone="ok">{`version ${of.live}`}</Badge>
        </h1>
        <div class="actions">
          {offered("build") ? (
            <a class="button" href={href(["write"], { tenant, name: of.name })}>
              Write the next version
            </a>
          ) : null}
          <Remove of={of} />
        </div>
      </div>
      <Panel title="URLs">
        {of.urls.length === 0 ? (
          <Empty title="It has no HTTP source." />
        ) : (
          <ul class="plain">
            {of.urls.map((url) => (
              <li key={url}>
                <code>{url}</code>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <Panel title="Versions">
        <ul class="rows">
          {[...of.versions].reverse().map((version) => (
            <Version key={version.version} of={of} version={version} changed={changed} />
          ))}
        </ul>
      </Panel>
      <Panel title={`Settings of version ${of.live}`}>
        {live === undefined || live.fragment === "" ? (
          <Empty title="None: served at its own path, for every method." />
        ) : (
          <pre class="settings" tabIndex={0} aria-label="Settings">
            {live.fragment}
          </pre>
        )}
      </Panel>
      <Log of={of} />
    </>
  );
}

export function FunctionScreen({ name }: { readonly name: string }): JSX.Element {
  const tenant = route.value.query.get("tenant");
  const loaded = useLoaded<DeployedFunction>(functionsPath([name], tenant), limits.functionsMs);
  return (
    <div class="screen">
      {loaded.error?.status === 404 ? (
        <Missing title={`There is no function ${name}.`}>
          <a href={href(["functions"], { tenant: tenant ?? undefined })}>All functions</a>
        </Missing>
      ) : (
        <Await of={loaded} rows={10} title={name}>
          {(of) => <Body of={of} changed={loaded.reload} />}
        </Await>
      )}
    </div>
  );
}
