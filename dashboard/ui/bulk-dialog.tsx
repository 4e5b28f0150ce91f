/** Retry or drop of many letters: what would happen first, then progress, then what came of it. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, count, exact, plural } from "../model/format.ts";
import type { LetterRow } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { asRefusal, Button, Dialog, Failed, Loading } from "./parts.tsx";

export interface Selection {
  readonly ids?: readonly string[];
  readonly flow?: string;
  readonly code?: string;
  readonly outlet?: string;
  readonly kind?: string;
}

interface Preview {
  readonly count: number;
  readonly bytes: number;
  readonly oldest: number | null;
  readonly newest: number | null;
  readonly letters: readonly LetterRow[];
  readonly remarks: readonly string[];
}

interface Report {
  readonly done: number;
  readonly accepted: number;
  readonly dead: number;
  readonly dropped: number;
  readonly failures: number;
  readonly failed: readonly { readonly id: string; readonly code: string; readonly message: string }[];
  readonly left: number;
}

function added(before: Report | undefined, now: Report): Report {
  if (before === undefined) return now;
  return {
    done: before.done + now.done,
    accepted: before.accepted + now.accepted,
    dead: before.dead + now.dead,
    dropped: before.dropped + now.dropped,
    failures: before.failures + now.failures,
    failed: [...before.failed, ...now.failed].slice(0, 100),
    left: now.left,
  };
}

function Outcome({ report }: { readonly report: Report }): JSX.Element {
  const parts = [
    [report.done, "done"],
    [report.accepted, "taken up"],
    [report.dead, "dead again"],
    [report.dropped, "dropped"],
    [report.failures, "refused"],
    [report.left, "left"],
  ] as const;
  return (
    <div role="status">
      <p>
        {parts
          .filter(([number]) => number > 0)
          .map(([number, what]) => `${count(number)} ${what}`)
          .join(" · ") || "Nothing to do."}
      </p>
      {report.failed.length === 0 ? null : (
        <ul class="rows">
          {report.failed.slice(0, 10).map(({ id, code, message }) => (
            <li key={id}>
              <code>{code}</code> {message}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function PreviewView({ preview }: { readonly preview: Preview }): JSX.Element {
  return (
    <>
      <p>
        <b>{plural(preview.count, "letter")}</b>, {bytes(preview.bytes)}
        {preview.oldest === null || preview.newest === null ? "" : `, received from ${exact(preview.oldest)} to ${exact(preview.newest)}`}
      </p>
      {preview.remarks.map((remark) => (
        <p key={remark} class="banner">
          {remark}
        </p>
      ))}
      <ul class="rows preview">
        {preview.letters.slice(0, 8).map(({ id, flow, outlet, key, message, code }) => (
          <li key={id}>
            <span>
              {flow}
              {outlet === null ? "" : ` → ${outlet}`} <span class="muted">{key ?? ""}</span>
            </span>
            <span class="cut wide muted">
              {code}: {message}
            </span>
          </li>
        ))}
        {preview.count > 8 ? <li class="muted">and {count(preview.count - 8)} more</li> : null}
      </ul>
    </>
  );
}

export function BulkDialog(props: {
  readonly what: "retry" | "drop";
  readonly selection: Selection;
  readonly close: (changed: boolean) => void;
}): JSX.Element {
  const { what, selection, close } = props;
  const path = `/api/dead-letters/${what}`;
  const [preview, setPreview] = useState<Preview | undefined>(undefined);
  const [report, setReport] = useState<Report | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const stopped = useRef(false);
  useEffect(() => {
    ask<Preview>(path, { method: "POST", json: { ...selection, dryRun: true } }).then(setPreview, (caught: unknown) =>
      setError(asRefusal(caught)),
    );
    return () => void (stopped.current = true);
  }, []);
  const run = async (): Promise<void> => {
    setBusy(true);
    let so: Report | undefined;
    try {
      do {
        const now = await ask<Report>(path, { method: "POST", json: selection });
        so = added(so, now);
        setReport(so);
        if (now.left === 0 || now.done + now.accepted + now.dead + now.dropped === 0 || selection.ids !== undefined) break;
      } while (!stopped.current);
    } finally {
      setBusy(false);
    }
  };
  const verb = what === "retry" ? "Retry" : "Drop";
  const finished = report !== undefined && !busy;
  return (
    <Dialog
      wide
      title={`${verb} dead letters`}
      close={() => close(report !== undefined)}
      actions={
        <>
          <Button kind="quiet" onClick={() => close(report !== undefined)}>
            {finished ? "Close" : "Cancel"}
          </Button>
          {finished ? null : (
            <Button
              kind={what === "drop" ? "danger" : "primary"}
              disabled={preview === undefined || preview.count === 0}
              failed={setError}
              onClick={run}
            >
              {verb} {preview === undefined ? "" : count(preview.count)}
            </Button>
          )}
        </>
      }
    >
      {error === undefined ? null : <Failed error={error} />}
      {report === undefined ? (
        preview === undefined ? (
          error === undefined ? (
            <Loading />
          ) : null
        ) : (
          <PreviewView preview={preview} />
        )
      ) : (
        <Outcome report={report} />
      )}
      {what === "drop" && report === undefined ? <p class="warn">Dropped letters are gone for good.</p> : null}
    </Dialog>
  );
}
