/** Small parts that every screen is made of. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../net/client.ts";
import { ApiError as Refusal } from "../net/client.ts";

export type Tone = "ok" | "bad" | "warn" | "calm" | "accent";

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Dot({ tone, label }: { readonly tone: Tone; readonly label: string }): JSX.Element {
  return <span class={`dot ${tone}`} role="img" aria-label={label} title={label} />;
}

export function Panel(props: {
  readonly title?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { title, actions, children } = props;
  return (
    <section class={`panel ${props.class ?? ""}`}>
      {title === undefined ? null : (
        <header class="panel-head">
          <h2>{title}</h2>
          {actions === undefined ? null : <div class="actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  );
}

/** A screen whose subject does not exist. */
export function Missing({ title, children }: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <h1 class="empty-title">{title}</h1>
      <p>{children}</p>
    </div>
  );
}

export function Loading({ rows = 4 }: { readonly rows?: number }): JSX.Element {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} class="bone" />
      ))}
    </div>
  );
}

export function Failed({ error, retry }: { readonly error: ApiError; readonly retry?: () => void }): JSX.Element {
  return (
    <div class="failed" role="alert">
      <p>
        <code>{error.code}</code> {error.message}
      </p>
      {retry === undefined ? null : (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A value, or the state it is in until it is there. */
export function Await<T>(props: {
  readonly of: { readonly value: T | undefined; readonly error: ApiError | undefined; reload(): void };
  readonly rows?: number;
  /** Heading until the value is there. */
  readonly title?: string;
  readonly children: (value: T) => ComponentChildren;
}): JSX.Element {
  const { value, error, reload } = props.of;
  return (
    <>
      {value === undefined && props.title !== undefined ? <h1>{props.title}</h1> : null}
      {error === undefined ? null : <Failed error={error} retry={reload} />}
      {value === undefined ? error === undefined ? <Loading rows={props.rows ?? 4} /> : null : props.children(value)}
    </>
  );
}

export function asRefusal(error: unknown): ApiError {
  return error instanceof Refusal ? error : new Refusal(0, "FAILED", error instanceof Error ? error.message : String(error));
}

export function Button(props: {
  readonly onClick: () => Promise<unknown> | void;
  readonly kind?: "plain" | "primary" | "danger" | "quiet";
  readonly disabled?: boolean;
  readonly title?: string;
  readonly pressed?: boolean;
  readonly failed?: (error: ApiError) => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { onClick, kind = "plain", disabled = false, title, pressed, failed, children } = props;
  const [busy, setBusy] = useState(false);
  const there = useRef(true);
  useEffect(() => () => void (there.current = false), []);
  const press = async (): Promise<void> => {
    setBusy(true);
    try {
      await onClick();
    } catch (error) {
      failed?.(asRefusal(error));
    } finally {
      if (there.current) setBusy(false);
    }
  };
  return (
    <button
      type="button"
      class={kind}
      disabled={disabled || busy}
      aria-busy={busy}
      title={title}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      onClick={() => void press()}
    >
      {children}
    </button>
  );
}

export function Dialog(props: {
  readonly title: string;
  readonly close: () => void;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
  readonly actions?: ComponentChildren;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class={props.wide === true ? "wide" : ""} aria-labelledby="dialog-title" onClose={props.close}>
      <header class="panel-head">
        <h2 id="dialog-title">{props.title}</h2>
        <button type="button" class="quiet icon" aria-label="Close" onClick={props.close}>
          ✕
        </button>
      </header>
      <div class="dialog-body">{props.children}</div>
      {props.actions === undefined ? null : <footer class="actions">{props.actions}</footer>}
    </dialog>
  );
}

/** A figure with its name. */
export function Figure(props: {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly tone?: Tone;
  readonly href?: string;
}): JSX.Element {
  const inner = (
    <>
      <span class="figure-name">{props.name}</span>
      <span class={`figure-value ${props.tone ?? ""}`}>{props.value}</span>
      <span class="figure-note">{props.note ?? "\u00a0"}</span>
    </>
  );
  return props.href === undefined ? (
    <div class="figure">{inner}</div>
  ) : (
    <a class="figure" href={props.href}>
      {inner}
    </a>
  );
}

/** The share of a limit that is in use. */
export function Bar({ share, label }: { readonly share: number; readonly label: string }): JSX.Element {
  const bounded = Math.max(0, Math.min(share, 1));
  const tone = bounded > 0.9 ? "bad" : bounded > 0.7 ? "warn" : "ok";
  return (
    <meter class={`bar ${tone}`} min={0} max={1} value={bounded} aria-label={label}>
      {label}
    </meter>
  );
}

const announcements: { current: (text: string) => void } = { current: () => undefined };

/** Tells people what has happened, those who do not see the page too. */
export function announce(text: string): void {
  announcements.current(text);
}

export function Announcer(): JSX.Element {
  const [text, setText] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    announcements.current = (next) => {
      setText(next);
      clearTimeout(timer);
      timer = setTimeout(() => setText(""), 6_000);
    };
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class={`toast ${text === "" ? "" : "shown"}`} role="status" aria-live="polite">
      {text}
    </div>
  );
}
