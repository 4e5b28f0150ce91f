/** One dead letter: why, after which attempts, with its body; edited and retried, or dropped. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { duration, exact, plural } from "../model/format.ts";
import type { Letter } from "../model/types.ts";
import { type ApiError, ask, download } from "../net/client.ts";
import { useLoaded } from "../net/loading.ts";
import { offered } from "../net/offered.ts";
import { flowHref, messageHref } from "../router.ts";
import { BodyView, HeaderList } from "../ui/body-view.tsx";
import { EditDialog } from "../ui/edit-dialog.tsx";
import { ErrorView, Logs } from "../ui/life-part.tsx";
import { announce, Await, Badge, Button, Dialog, Failed, Missing, Panel } from "../ui/parts.tsx";

interface Outcome {
  readonly status: string;
  readonly failure?: { readonly code: string; readonly message: string };
}

const pathOf = (id: string): string => `/-/dead-letters/${id.split("/").map(encodeURIComponent).join("/")}`;

function tell({ status, failure }: Outcome): string {
  if (status === "accepted") return "Retried: it runs";
  return failure === undefined ? `Retried: ${status}` : `Retried: ${status}, ${failure.code}`;
}

function Actions({ letter }: { readonly letter: Letter }): JSX.Element {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [open, setOpen] = useState<"edit" | "drop" | undefined>(undefined);
  const retry = async (body: string | undefined): Promise<void> => {
    setError(undefined);
    const path = `${pathOf(letter.id)}/retry`;
    const outcome = await ask<Outcome>(body === undefined ? path : `${path}?edit=true`, {
      method: "POST",
      ...(body === undefined ? {} : { body }),
    });
    announce(tell(outcome));
    location.hash = "#/dead-letters";
  };
  const drop = async (): Promise<void> => {
    await ask(pathOf(letter.id), { method: "DELETE" });
    announce("Dropped");
    location.hash = "#/dead-letters";
  };
  return (
    <>
      <div class="actions">
        <Button kind="primary" onClick={() => retry(undefined)} failed={setError}>
          Retry
        </Button>
        <Button onClick={() => setOpen("edit")}>Edit and retry</Button>
        <Button kind="quiet" onClick={() => download(`${pathOf(letter.id)}/body`, `${letter.flow}-letter.bin`)} failed={setError}>
          Raw body
        </Button>
        <Button kind="quiet" onClick={() => setOpen("drop")}>
          Drop…
        </Button>
      </div>
      {error === undefined ? null : <Failed error={error} />}
      {open === "edit" ? (
        <EditDialog
          title="Edit and retry"
          says="The letter goes once the edited message has ended well."
          body={letter.body}
          contentType={letter.contentType}
          verb="Retry"
          close={() => setOpen(undefined)}
          submit={retry}
        />
      ) : null}
      {open === "drop" ? (
        <Dialog
          title="Drop this dead letter?"
          close={() => setOpen(undefined)}
          actions={
            <Button kind="danger" onClick={drop} failed={setError}>
              Drop
            </Button>
          }
        >
          <p>It is gone for good then.</p>
        </Dialog>
      ) : null}
    </>
  );
}

function Attempts({ letter }: { readonly letter: Letter }): JSX.Element {
  return (
    <ol class="rows">
      {letter.attempts.map(({ attempt, startedMs, endedMs, failure, logs }) => (
        <li key={attempt} class="attempt">
          <p>
            <b>{attempt}</b> <span class="muted">{exact(startedMs)}</span> <span class="muted">{duration(endedMs - startedMs)}</span>
          </p>
          <ErrorView error={failure} />
          {logs.length === 0 ? null : <Logs logs={logs} />}
        </li>
      ))}
    </ol>
  );
}

export function LetterScreen({ id }: { readonly id: string }): JSX.Element {
  const loaded = useLoaded<Letter>(pathOf(id));
  return (
    <div class="screen">
      {loaded.error?.status === 404 ? (
        <Missing title="There is no such dead letter.">
          It may have been retried or dropped already. <a href="#/dead-letters">All dead letters</a>
        </Missing>
      ) : (
        <Await of={loaded} rows={8} title={id}>
          {(letter) => (
            <>
              <div class="screen-head">
                <h1>
                  <a href="#/dead-letters" class="crumb">
                    Dead letters
                  </a>
                  <span class="cut">{letter.messageId}</span> <Badge tone="bad">{letter.kind}</Badge>
                </h1>
              </div>
              <Actions letter={letter} />
              <div class="banner bad">
                <ErrorView error={letter.failure} />
              </div>
              {letter.asleep === undefined ? null : (
                <p class="banner">Its machine has slept: a retry goes on from its wait, not from the message.</p>
              )}
              <dl class="facts">
                <div>
                  <dt>flow</dt>
                  <dd>
                    <a href={flowHref(letter.flow)}>{letter.flow}</a>
                    {letter.outlet === undefined ? "" : ` → ${letter.outlet}`}
                  </dd>
                </div>
                <div>
                  <dt>received</dt>
                  <dd>{exact(letter.receivedMs)}</dd>
                </div>
                <div>
                  <dt>died</dt>
                  <dd>{exact(letter.buriedMs)}</dd>
                </div>
                <div>
                  <dt>source</dt>
                  <dd>{letter.source}</dd>
                </div>
                {letter.key === undefined ? null : (
                  <div>
                    <dt>key</dt>
                    <dd>{letter.key}</dd>
                  </div>
                )}
                {offered("messages") && letter.kind !== "signal" ? (
                  <div>
                    <dt>message</dt>
                    <dd>
                      <a href={messageHref(letter.flow, letter.messageId)}>its life</a>
                    </dd>
                  </div>
                ) : null}
              </dl>
              <div class="columns two">
                <Panel title="Message">
                  <BodyView title="Body" body={letter.body} contentType={letter.contentType} />
                  <HeaderList headers={letter.headers} />
                </Panel>
                <Panel title={plural(letter.attempts.length, "attempt")}>
                  <Attempts letter={letter} />
                </Panel>
              </div>
            </>
          )}
        </Await>
      )}
    </div>
  );
}
