/** One sleeping message: what it waits for, its life so far, questions to answer with what each answer would do; signalled, woken, cancelled. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ago, duration, exact, plural, shortHash } from "../model/format.ts";
import { lifeOf, sleeperPath } from "../model/sleepers.ts";
import { timelineOf } from "../model/timeline.ts";
import type { Detail, Options, Preview, SleeperDetail, SleeperWait } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { useLoaded } from "../net/loading.ts";
import { offered } from "../net/offered.ts";
import { flowHref, href } from "../router.ts";
import { LifePart, Logs } from "../ui/life-part.tsx";
import { announce, Await, Button, Dialog, Failed, Missing, Panel } from "../ui/parts.tsx";
import { PreviewView } from "../ui/preview-view.tsx";
import { Waterfall } from "../ui/waterfall.tsx";
import { StateBadge } from "./sleepers.tsx";

function Question({
  sleeper,
  wait,
  reload,
}: {
  readonly sleeper: SleeperDetail;
  readonly wait: SleeperWait;
  readonly reload: () => void;
}): JSX.Element {
  const { question } = wait;
  const loaded = useLoaded<Options>(offered("answers") ? sleeperPath(sleeper, "options", { wait: String(wait.wait) }) : undefined);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [by, setBy] = useState("");
  const [comment, setComment] = useState("");
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const answer = async (): Promise<void> => {
    const given = { option: chosen, ...(by === "" ? {} : { by }), ...(comment === "" ? {} : { comment }) };
    await ask(sleeperPath(sleeper, "answer", { wait: String(wait.wait) }), { method: "POST", json: given });
    announce(`Answered: ${chosen}`);
    setChosen(undefined);
    reload();
  };
  const previewOf = (option: string): Preview | undefined => loaded.value?.options.find((each) => each.option === option)?.preview;
  const shown = chosen === undefined ? undefined : previewOf(chosen);
  return (
    <Panel title={question?.question ?? ""} class="question">
      <p class="muted padded">
        {question?.to === undefined ? "Answered here." : `Sent to ${question.to} with a link, and answered here as well.`}{" "}
        {wait.until === null ? "" : `Until ${exact(Date.parse(wait.until))}.`}
      </p>
      {offered("answers") ? (
        <Await of={loaded} rows={3}>
          {({ unanswered }) => (
            <div class="options">
              {question?.options.map((option) => {
                const preview = previewOf(option);
                return (
                  <section key={option} class="option">
                    <h3>{option}</h3>
                    {preview === undefined ? <p class="muted">There is no preview of this option.</p> : <PreviewView preview={preview} />}
                    <Button kind="primary" onClick={() => setChosen(option)}>
                      {option}…
                    </Button>
                  </section>
                );
              })}
              {unanswered === null ? null : (
                <section class="option">
                  <h3>
                    <span class="muted">If nobody answers</span>
                  </h3>
                  <PreviewView preview={unanswered} />
                </section>
              )}
            </div>
          )}
        </Await>
      ) : null}
      {chosen === undefined ? null : (
        <Dialog
          wide
          title={`Answer “${chosen}”?`}
          close={() => setChosen(undefined)}
          actions={
            <>
              <Button kind="quiet" onClick={() => setChosen(undefined)}>
                Cancel
              </Button>
              <Button kind="primary" onClick={answer} failed={setError}>
                Answer {chosen}
              </Button>
            </>
          }
        >
          <p>{question?.question}</p>
          {shown === undefined ? null : <PreviewView preview={shown} />}
          <label class="field">
            <span>Your name (optional)</span>
            <input type="text" maxLength={200} value={by} onInput={(event) => setBy(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>Comment (optional)</span>
            <textarea rows={2} maxLength={2000} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
          </label>
          {error === undefined ? null : <Failed error={error} />}
        </Dialog>
      )}
    </Panel>
  );
}

function SignalDialog({ sleeper, close }: { readonly sleeper: SleeperDetail; readonly close: (changed: boolean) => void }): JSX.Element {
  const [number, setNumber] = useState(sleeper.waits[0]?.wait ?? 0);
  const [body, setBody] = useState("{}");
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [preview, setPreview] = useState<Preview | undefined>(undefined);
  const wait = sleeper.waits.find((each) => each.wait === number);
  const contentType = isJson(body) ? "application/json" : "text/plain";
  const send = async (): Promise<void> => {
    const path = `/api/flows/${encodeURIComponent(sleeper.flow)}/signals/${encodeURIComponent(wait?.name ?? "")}`;
    await ask(`${path}?key=${encodeURIComponent(wait?.key ?? "")}`, { method: "POST", body, contentType });
    announce("Signalled");
    close(true);
  };
  const look = async (): Promise<void> => {
    setError(undefined);
    setPreview(await ask<Preview>(sleeperPath(sleeper, "preview", { wait: String(number) }), { method: "POST", body, contentType }));
  };
  return (
    <Dialog
      wide
      title="Send a signal"
      close={() => close(false)}
      actions={
        <>
          <Button kind="quiet" onClick={() => close(false)}>
            Cancel
          </Button>
          {offered("previews") ? (
            <Button onClick={look} failed={setError}>
              What would happen
            </Button>
          ) : null}
          <Button kind="primary" onClick={send} failed={setError}>
            Signal {wait?.name ?? ""}
          </Button>
        </>
      }
    >
      <label class="field">
        <span>Wait</span>
        <select value={number} onChange={(event) => setNumber(Number(event.currentTarget.value))}>
          {sleeper.waits.map((each) => (
            <option key={each.wait} value={each.wait}>
              {each.name}, key {each.key}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Body, {contentType}</span>
        <textarea class="editor" spellcheck={false} rows={8} value={body} onInput={(event) => setBody(event.currentTarget.value)} />
      </label>
      {error === undefined ? null : <Failed error={error} />}
      {preview === undefined ? null : <PreviewView preview={preview} />}
    </Dialog>
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const verbs = {
  wake: {
    title: "Wake this message now?",
    says: "The wait or sleep that would end first counts as over: the flow goes on as if its time had come.",
    verb: "Wake",
    kind: "primary",
    done: "Woken",
  },
  cancel: {
    title: "Cancel this message?",
    says: "It ends as a dead letter, which can be retried: then it waits again where it stands now. What it has sent stays sent.",
    verb: "Cancel it",
    kind: "danger",
    done: "Cancelled",
  },
  migrate: {
    title: "Begin again in the newest image?",
    says: "The flow starts anew from its message. What it has sent before stays sent and is sent again; requests are made again.",
    verb: "Begin again",
    kind: "danger",
    done: "Moved to the newest image",
  },
} as const;

function Actions({ sleeper, reload }: { readonly sleeper: SleeperDetail; readonly reload: () => void }): JSX.Element {
  const [open, setOpen] = useState<"signal" | keyof typeof verbs | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const run = async (what: keyof typeof verbs): Promise<void> => {
    setError(undefined);
    await ask(sleeperPath(sleeper, what), { method: "POST" });
    announce(verbs[what].done);
    setOpen(undefined);
    reload();
  };
  return (
    <>
      <div class="actions">
        {sleeper.waits.length === 0 ? null : (
          <Button kind="primary" onClick={() => setOpen("signal")}>
            Signal…
          </Button>
        )}
        <Button onClick={() => setOpen("wake")}>Wake…</Button>
        <Button kind="quiet" onClick={() => setOpen("migrate")}>
          Begin again…
        </Button>
        <Button kind="quiet" onClick={() => setOpen("cancel")}>
          Cancel…
        </Button>
      </div>
      {open === "signal" ? (
        <SignalDialog
          sleeper={sleeper}
          close={(changed) => {
            setOpen(undefined);
            if (changed) reload();
          }}
        />
      ) : null}
      {open === undefined || open === "signal" ? null : (
        <Dialog
          title={verbs[open].title}
          close={() => setOpen(undefined)}
          actions={
            <>
              <Button kind="quiet" onClick={() => setOpen(undefined)}>
                No
              </Button>
              <Button kind={verbs[open].kind} onClick={() => run(open)} failed={setError}>
                {verbs[open].verb}
              </Button>
            </>
          }
        >
          <p>{verbs[open].says}</p>
          {error === undefined ? null : <Failed error={error} />}
        </Dialog>
      )}
    </>
  );
}

function Facts({ sleeper }: { readonly sleeper: SleeperDetail }): JSX.Element {
  const { flow, received, since, until, transactions, source, key, image } = sleeper;
  const fact = (name: string, value: JSX.Element | string): JSX.Element => (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
  const now = Date.now();
  return (
    <dl class="facts">
      {fact("flow", <a href={flowHref(flow)}>{flow}</a>)}
      {fact("received", exact(Date.parse(received)))}
      {fact("asleep since", `${exact(Date.parse(since))} (${ago(now - Date.parse(since))})`)}
      {fact("wakes", `${exact(Date.parse(until))}${Date.parse(until) > now ? ` (in ${duration(Date.parse(until) - now)})` : ""}`)}
      {fact("transactions", String(transactions))}
      {fact("source", source)}
      {key === null ? null : fact("key", <a href={href(["sleepers"], { flow, key })}>{key}</a>)}
      {fact("image", <code>{shortHash(image)}</code>)}
    </dl>
  );
}

function Waits({ sleeper }: { readonly sleeper: SleeperDetail }): JSX.Element {
  const { waits, sleeps } = sleeper;
  return (
    <Panel title="Waits for">
      <div class="scroll" tabIndex={0} role="region" aria-label="Waits">
        <table class="list">
          <thead>
            <tr>
              <th>Signal</th>
              <th>Key</th>
              <th>Until</th>
            </tr>
          </thead>
          <tbody>
            {waits.map(({ wait, name, key, until }) => (
              <tr key={wait}>
                <td>{name}</td>
                <td class="cut">{key}</td>
                <td>{until === null ? <span class="muted">no end of its own</span> : exact(Date.parse(until))}</td>
              </tr>
            ))}
            {sleeps.map((at, index) => (
              <tr key={`sleep ${index}`}>
                <td class="muted">a time</td>
                <td />
                <td>{exact(Date.parse(at))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Life({ life }: { readonly life: Detail }): JSX.Element {
  const timeline = timelineOf(life);
  const [chosen, setChosen] = useState("commit");
  const row = timeline.rows.find(({ id }) => id === chosen) ?? timeline.rows[0];
  return (
    <div class="life-columns">
      <Panel title="Life so far">
        <Waterfall timeline={timeline} chosen={chosen} choose={setChosen} />
      </Panel>
      <Panel title={row === undefined ? "" : row.label} class="life-detail">
        {row === undefined ? null : <LifePart key={row.id} message={life} part={row.part} />}
      </Panel>
    </div>
  );
}

function Body({ sleeper, reload }: { readonly sleeper: SleeperDetail; readonly reload: () => void }): JSX.Element {
  const life = lifeOf(sleeper);
  return (
    <>
      <div class="screen-head">
        <h1>
          <a href="#/sleepers" class="crumb">
            Sleepers
          </a>
          <span class="cut">{sleeper.id}</span> <StateBadge state={sleeper.state} />
        </h1>
      </div>
      <Actions sleeper={sleeper} reload={reload} />
      {sleeper.problem === null ? null : (
        <p class="banner bad" role="alert">
          {sleeper.problem}
        </p>
      )}
      <Facts sleeper={sleeper} />
      {sleeper.waits.map((wait) =>
        wait.question === null ? null : (
          <Question key={`${sleeper.transactions} ${wait.wait}`} sleeper={sleeper} wait={wait} reload={reload} />
        ),
      )}
      <Waits sleeper={sleeper} />
      {sleeper.logs.length === 0 ? null : (
        <Panel title={plural(sleeper.logs.length, "last log line")}>
          <Logs logs={sleeper.logs} />
        </Panel>
      )}
      {life === undefined ? null : <Life life={life} />}
    </>
  );
}

export function SleeperScreen({ flow, id }: { readonly flow: string; readonly id: string }): JSX.Element {
  const loaded = useLoaded<SleeperDetail>(sleeperPath({ flow, id }), 5_000);
  return (
    <div class="screen">
      {loaded.error?.status === 404 ? (
        <Missing title={`No message ${id} sleeps.`}>
          It may have gone on and ended: <a href={href(["messages", flow, id])}>its life</a>, <a href="#/sleepers">all sleepers</a>
        </Missing>
      ) : (
        <Await of={loaded} rows={10} title={id}>
          {(sleeper) => <Body sleeper={sleeper} reload={loaded.reload} />}
        </Await>
      )}
    </div>
  );
}
