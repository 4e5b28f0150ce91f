/** A body to be edited, and what is done with it then. Bytes that are not text can't be edited here. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { editable } from "../model/body.ts";
import type { Body } from "../model/types.ts";
import type { ApiError } from "../net/client.ts";
import { Button, Dialog, Failed } from "./parts.tsx";

export function EditDialog(props: {
  readonly title: string;
  readonly says: string;
  readonly body: Body;
  readonly contentType: string;
  readonly verb: string;
  readonly close: () => void;
  /** `undefined`: as it was recorded. */
  readonly submit: (body: string | undefined) => Promise<void>;
}): JSX.Element {
  const first = editable(props.body, props.contentType);
  const [text, setText] = useState(first ?? "");
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const edited = text !== (first ?? "");
  const broken = /json/i.test(props.contentType) && edited && !isJson(text);
  return (
    <Dialog
      wide
      title={props.title}
      close={props.close}
      actions={
        <>
          <Button kind="quiet" onClick={props.close}>
            Cancel
          </Button>
          <Button kind="primary" failed={setError} onClick={() => props.submit(edited ? text : undefined)}>
            {edited ? `${props.verb} edited` : `${props.verb} as it was`}
          </Button>
        </>
      }
    >
      <p>{props.says}</p>
      {first === undefined ? (
        <p class="muted">The body was not recorded, or is not text: it can't be edited here.</p>
      ) : (
        <label class="field">
          <span>Body{props.contentType === "" ? "" : `, ${props.contentType}`}</span>
          <textarea class="editor" spellcheck={false} value={text} rows={16} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      )}
      {broken ? <p class="warn">This is not valid JSON.</p> : null}
      {error === undefined ? null : <Failed error={error} />}
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
