/** A function is written, tried on a message and deployed. It is built by the gateway; what is tried is what is deployed. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Editor } from "../editor/editor.ts";
import type { DeployedFunction, Trial } from "../model/functions.ts";
import { duration, plural } from "../model/format.ts";
import { type Draft, placeIn, readDraft } from "../model/writing.ts";
import { type ApiError, ask } from "../net/client.ts";
import { draftName } from "../net/principal.ts";
import { functionHref, functionsPath, go, href, route } from "../router.ts";
import { announce, asRefusal, Badge, Button, Empty, Failed, Loading, Panel } from "../ui/parts.tsx";

interface Built {
  readonly image: string;
  readonly outlets: readonly string[] | null;
}

function Code(props: {
  readonly text: string;
  readonly changed: (text: string) => void;
  readonly opened: (editor: Editor) => void;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [there, setThere] = useState(false);
  useEffect(() => {
    let editor: Editor | undefined;
    let gone = false;
    const open = async (): Promise<void> => {
      const { openEditor } = await import("../editor/editor.ts");
      if (gone || place.current === null) return;
      editor = openEditor(place.current, props.text, props.changed);
      setThere(true);
      props.opened(editor);
    };
    open().catch((caught: unknown) => setError(asRefusal(caught)));
    return () => {
      gone = true;
      editor?.close();
    };
  }, []);
  return (
    <>
      <div ref={place} class="code-editor" />
      {there ? null : error === undefined ? <Loading rows={6} /> : <Failed error={error} />}
    </>
  );
}

function Texts({ items }: { readonly items: readonly { readonly head: string; readonly text: string }[] }): JSX.Element {
  return (
    <ul class="plain">
      {items.map(({ head, text }, index) => (
        <li key={index}>
          <span class="muted">{head}</span>
          <pre class="settings" tabIndex={0} aria-label={head}>
            {text}
          </pre>
        </li>
      ))}
    </ul>
  );
}

function Outcome({ trial }: { readonly trial: Trial }): JSX.Element {
  const { status, error, reply, sends, logs, state, cpuMs, events } = trial;
  const parts = [
    ...(error === null ? [] : [{ head: `${error.code}: ${error.message}`, text: error.stack ?? "" }]),
    ...(reply === null ? [] : [{ head: `Reply ${reply.status} ${reply.contentType}`, text: reply.text }]),
    ...sends.map((send) => ({ head: `Send to ${send.outlet} ${send.contentType}`, text: send.text })),
    ...(logs.length === 0 ? [] : [{ head: "Log", text: logs.map(({ level, text }) => `${level} ${text}`).join("\n") }]),
    ...(Object.keys(state).length === 0 ? [] : [{ head: "State", text: JSON.stringify(state, undefined, 2) }]),
    { head: `Recording, ${plural(events.length, "line")}`, text: events.join("\n") },
  ];
  return (
    <Panel title={<>Trial {<Badge tone={status === "done" ? "ok" : "bad"}>{`${status} in ${duration(cpuMs)}`}</Badge>}</>}>
      <Texts items={parts} />
    </Panel>
  );
}

export function WriteScreen(): JSX.Element {
  const tenant = route.value.query.get("tenant");
  const [draft, setDraft] = useState<Draft>(() => {
    const kept = readDraft(sessionStorage.getItem(draftName));
    const asked = route.value.query.get("name");
    return asked === null ? kept : { ...kept, name: asked };
  });
  const [trial, setTrial] = useState<Trial | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const editor = useRef<Editor | undefined>(undefined);
  const newest = useRef(draft);
  /** The image of a text that was built: the same text is not built again. */
  const built = useRef<{ readonly of: string; readonly built: Built } | undefined>(undefined);
  const change = (more: Partial<Draft>): void => {
    newest.current = { ...newest.current, ...more };
    sessionStorage.setItem(draftName, JSON.stringify(newest.current));
    setDraft(newest.current);
  };
  const build = async (): Promise<Built> => {
    const { name, code } = newest.current;
    const of = `${name}\n${code}`;
    if (built.current?.of === of) return built.current.built;
    const made = await ask<Built>(functionsPath([name, "build"], tenant), { method: "POST", body: code, contentType: "text/typescript" });
    built.current = { of, built: made };
    return made;
  };
  const failed = (refusal: ApiError): void => {
    setError(refusal);
    const place = placeIn(refusal.message, newest.current.name);
    if (place !== undefined) editor.current?.show(place.line, place.column);
  };
  const run = async (): Promise<void> => {
    setError(undefined);
    setTrial(undefined);
    const { image } = await build();
    const { name, body, contentType } = newest.current;
    setTrial(await ask<Trial>(functionsPath([name, "try"], tenant), { method: "POST", json: { image, body, contentType } }));
  };
  const deploy = async (): Promise<void> => {
    setError(undefined);
    const { image } = await build();
    const { name, fragment } = newest.current;
    const shown = await ask<DeployedFunction>(functionsPath([name], tenant), { method: "PUT", json: { image, fragment } });
    announce(`${name}: version ${shown.live} serves`);
    go(functionHref(name, tenant));
  };
  return (
    <div class="screen">
      <div class="screen-head">
        <h1>
          <a href={href(["functions"], { tenant: tenant ?? undefined })} class="crumb">
            Functions
          </a>
          Write
        </h1>
        <div class="actions">
          <Button onClick={run} failed={failed}>
            Try
          </Button>
          <Button kind="primary" onClick={deploy} failed={failed}>
            Deploy
          </Button>
        </div>
      </div>
      {error === undefined ? null : <Failed error={error} />}
      <Panel title="Flow">
        <label class="field">
          Name <input type="text" value={draft.name} maxLength={30} onInput={(event) => change({ name: event.currentTarget.value })} />
        </label>
        <Code text={draft.code} changed={(code) => change({ code })} opened={(opened) => (editor.current = opened)} />
      </Panel>
      <div class="columns">
        <Panel title="Message to try">
          <label class="field">
            Content type{" "}
            <input type="text" value={draft.contentType} onInput={(event) => change({ contentType: event.currentTarget.value })} />
          </label>
          <label class="field">
            Body
            <textarea rows={6} value={draft.body} onInput={(event) => change({ body: event.currentTarget.value })} />
          </label>
        </Panel>
        <Panel title="Settings">
          <label class="field">
            {draft.name}.mayfly.yaml
            <textarea
              rows={6}
              placeholder={`from: [{ http: { path: /${tenant === null ? "" : `${tenant}/`}${draft.name}, method: POST } }]`}
              value={draft.fragment}
              onInput={(event) => change({ fragment: event.currentTarget.value })}
            />
          </label>
          <p class="muted padded">Sources, outlets, hosts and limits, as in mayfly.yaml. Empty: served at its own path.</p>
        </Panel>
      </div>
      {trial === undefined ? (
        <Empty title="Nothing was tried yet.">Sends of a trial go nowhere, and outlets answer nothing.</Empty>
      ) : (
        <Outcome trial={trial} />
      )}
    </div>
  );
}
