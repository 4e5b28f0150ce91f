/** Messages: searched, read page by page while one scrolls, and live at the top. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { count, plural } from "../model/format.ts";
import { limits } from "../model/limits.ts";
import { belongs, type Field, fields, isLive, messagesPath, readSearch, type Search } from "../model/search.ts";
import type { Summary } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { onMessage, overview } from "../net/live.ts";
import { isKnown, offered } from "../net/offered.ts";
import { href, messageHref, replace, route } from "../router.ts";
import { RowCells, rowHead } from "../ui/message-table.tsx";
import { asRefusal, Button, Empty, Failed, Loading } from "../ui/parts.tsx";
import { Virtual } from "../ui/virtual.tsx";

interface Page {
  readonly messages: readonly Summary[];
  readonly next: string | null;
  readonly remarks?: readonly string[];
}

const labels: Readonly<Record<Field, string>> = {
  flow: "Flow",
  status: "Status",
  code: "Error code",
  key: "Key",
  id: "Message id",
  correlation: "Correlation id",
  header: "Header (name:value)",
  text: "Text in body, header, log or error",
  since: "Since (24h, or 2026-01-31 14:00)",
  until: "Until",
};

function SearchForm({ search, change }: { readonly search: Search; readonly change: (search: Search) => void }): JSX.Element {
  const [draft, setDraft] = useState<Search>(search);
  const [more, setMore] = useState(fields.some((name) => !["flow", "status", "text", "key"].includes(name) && search[name] !== undefined));
  useEffect(() => setDraft(search), [JSON.stringify(search)]);
  const set = (name: Field, value: string): Search => ({ ...draft, [name]: value });
  const now = (name: Field, value: string): void => {
    const next = set(name, value);
    setDraft(next);
    change(next);
  };
  const input = (name: Field): JSX.Element => (
    <label key={name} class={`field field-${name}`}>
      <span>{labels[name]}</span>
      <input
        type="text"
        enterkeyhint="search"
        data-search={name === "text" ? "" : undefined}
        value={draft[name] ?? ""}
        onInput={(event) => setDraft(set(name, event.currentTarget.value))}
      />
    </label>
  );
  const flows = overview.value?.flows.map(({ name }) => name).sort() ?? [];
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        change(draft);
      }}
    >
      {input("text")}
      <label class="field">
        <span>Flow</span>
        <select value={draft.flow ?? ""} onChange={(event) => now("flow", event.currentTarget.value)}>
          <option value="">all</option>
          {[...new Set([...flows, ...(draft.flow ? [draft.flow] : [])])].map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Status</span>
        <select value={draft.status ?? ""} onChange={(event) => now("status", event.currentTarget.value)}>
          <option value="">all</option>
          <option value="done">done</option>
          <option value="failed">failed</option>
          <option value="dead">dead</option>
        </select>
      </label>
      {input("key")}
      {more ? (["id", "correlation", "code", "header", "since", "until"] as const).map(input) : null}
      <div class="search-actions">
        <button type="submit" class="primary">
          Search
        </button>
        <button type="button" class="quiet" aria-expanded={more} onClick={() => setMore(!more)}>
          {more ? "Fewer fields" : "More fields"}
        </button>
        <button type="button" class="quiet" onClick={() => change({})}>
          Clear
        </button>
      </div>
    </form>
  );
}

interface State {
  readonly rows: readonly Summary[];
  readonly next: string | null | undefined;
  readonly remarks: readonly string[];
  readonly error: ApiError | undefined;
}

const nothing: State = { rows: [], next: undefined, remarks: [], error: undefined };
const keyOf = ({ flow, id, receivedAt }: Summary): string => `${flow}\0${id}\0${receivedAt}`;

/** Newer ones before those there are, each once. */
function joined(before: readonly Summary[], newer: readonly Summary[]): readonly Summary[] {
  const there = new Set(before.slice(0, limits.waiting + newer.length).map(keyOf));
  return [...newer.filter((each) => !there.has(keyOf(each))), ...before].slice(0, limits.messages);
}

function useMessages(search: Search, live: boolean, top: boolean): State & { readonly waiting: number; more(): void; take(): void } {
  const [state, setState] = useState<State>(nothing);
  const [waiting, setWaiting] = useState<readonly Summary[]>([]);
  const loading = useRef<AbortController | undefined>(undefined);
  const path = messagesPath(search, limits.page);
  const load = async (cursor: string | undefined): Promise<void> => {
    const controller = new AbortController();
    loading.current = controller;
    try {
      const page = await ask<Page>(messagesPath(search, limits.page, cursor), { signal: controller.signal });
      setState((before) => {
        const rows = cursor === undefined ? page.messages : [...before.rows, ...page.messages];
        return { rows, next: page.next, remarks: page.remarks ?? [], error: undefined };
      });
    } catch (error) {
      if (!controller.signal.aborted) setState((before) => ({ ...before, error: asRefusal(error) }));
    } finally {
      if (loading.current === controller) loading.current = undefined;
    }
  };
  useEffect(() => {
    setState(nothing);
    setWaiting([]);
    void load(undefined);
    return () => loading.current?.abort();
  }, [path]);
  const buffer = useRef<Summary[]>([]);
  useEffect(() => {
    if (!live) return undefined;
    const stop = onMessage((message) => {
      if (belongs(message, search) && buffer.current.length < limits.waiting) buffer.current.unshift(message);
    });
    const timer = setInterval(() => {
      if (buffer.current.length > 0) setWaiting((before) => [...buffer.current.splice(0), ...before].slice(0, limits.waiting));
    }, 250);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [path, live]);
  const take = (): void => {
    setState((before) => ({ ...before, rows: joined(before.rows, waiting) }));
    setWaiting([]);
  };
  useEffect(() => {
    if (top && waiting.length > 0) take();
  }, [top, waiting]);
  const more = (): void => {
    if (loading.current === undefined && state.next && state.rows.length < limits.messages) void load(state.next);
  };
  return { ...state, waiting: waiting.length, more, take };
}

function List({ search, live }: { readonly search: Search; readonly live: boolean }): JSX.Element {
  const [top, setTop] = useState(true);
  const found = useMessages(search, live, top);
  const { rows, next, remarks, error, waiting } = found;
  const full = rows.length >= limits.messages;
  return (
    <>
      {error === undefined ? null : <Failed error={error} />}
      {remarks.map((remark) => (
        <p key={remark} class="banner">
          {remark}
        </p>
      ))}
      <p class="count" role="status">
        {next === undefined ? "Searching" : plural(rows.length, "message")}
        {next ? " so far; more as you scroll" : ""}
        {full ? ". No more are shown: make the search narrower" : ""}
        {waiting > 0 && !top ? (
          <button type="button" class="pill" onClick={found.take}>
            {count(waiting)} new
          </button>
        ) : null}
      </p>
      {next === undefined && error === undefined ? <Loading rows={10} /> : null}
      {next !== undefined && rows.length === 0 ? (
        <Empty title="No message matches.">Messages appear here once they have ended.</Empty>
      ) : null}
      {rows.length === 0 ? null : (
        <Virtual
          label="Messages"
          rows={rows}
          keyOf={keyOf}
          head={rowHead}
          row={(message) => <RowCells message={message} />}
          hrefOf={({ flow, id }) => messageHref(flow, id)}
          onEnd={found.more}
          onTop={setTop}
        />
      )}
    </>
  );
}

export function Messages(): JSX.Element {
  const search = readSearch(route.value.query);
  const [wantsLive, setWantsLive] = useState(true);
  const live = wantsLive && isLive(search);
  if (isKnown() && !offered("messages"))
    return (
      <div class="screen">
        <h1>Messages</h1>
        <Empty title="This gateway keeps no history.">Set history in mayfly.yaml.</Empty>
      </div>
    );
  return (
    <div class="screen filled">
      <div class="screen-head">
        <h1>Messages</h1>
        <Button
          pressed={live}
          disabled={!isLive(search)}
          onClick={() => setWantsLive(!wantsLive)}
          title={isLive(search) ? "New messages appear at the top" : "A search by text, header or end has no live messages"}
        >
          <span class={`dot ${live ? "ok" : "calm"}`} /> Live
        </Button>
      </div>
      <SearchForm search={search} change={(next) => replace(href(["messages"], next))} />
      <List key={JSON.stringify(search)} search={search} live={live} />
    </div>
  );
}
