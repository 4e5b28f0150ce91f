/** Sleeping messages: who waits, for what, until when; read page by page while one scrolls. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { exact, plural, time } from "../model/format.ts";
import { limits } from "../model/limits.ts";
import { readSleeperSearch, type SleeperField, sleeperFields, type SleeperSearch, sleepersPath, waitsFor } from "../model/sleepers.ts";
import type { SleeperRow } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { overview } from "../net/live.ts";
import { isKnown, offered } from "../net/offered.ts";
import { flowHref, href, replace, route, sleeperHref } from "../router.ts";
import { asRefusal, Badge, Button, Empty, Failed, Loading, type Tone } from "../ui/parts.tsx";
import { Virtual } from "../ui/virtual.tsx";

interface Page {
  readonly sleepers: readonly SleeperRow[];
  readonly next: string | null;
}

const labels: Readonly<Record<SleeperField, string>> = {
  flow: "Flow",
  wait: "Waits for (name)",
  key: "Key of message or wait",
  state: "State",
  since: "Asleep since (24h, or 2026-01-31 14:00)",
  until: "Wakes by itself until",
};

const tones: Readonly<Record<SleeperRow["state"], Tone>> = { asleep: "calm", awake: "ok", retrying: "warn", stuck: "bad" };

export function StateBadge({ state }: Pick<SleeperRow, "state">): JSX.Element {
  return <Badge tone={tones[state] ?? "calm"}>{state}</Badge>;
}

function SearchForm({ search, change }: { readonly search: SleeperSearch; readonly change: (search: SleeperSearch) => void }): JSX.Element {
  const [draft, setDraft] = useState<SleeperSearch>(search);
  useEffect(() => setDraft(search), [JSON.stringify(search)]);
  const now = (name: SleeperField, value: string): void => {
    const next = { ...draft, [name]: value };
    setDraft(next);
    change(next);
  };
  const choice = (name: SleeperField, all: readonly string[]): JSX.Element => (
    <label class="field">
      <span>{labels[name]}</span>
      <select value={draft[name] ?? ""} onChange={(event) => now(name, event.currentTarget.value)}>
        <option value="">all</option>
        {all.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
  const input = (name: SleeperField): JSX.Element => (
    <label key={name} class="field">
      <span>{labels[name]}</span>
      <input
        type="text"
        enterkeyhint="search"
        data-search={name === "wait" ? "" : undefined}
        value={draft[name] ?? ""}
        onInput={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}
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
      {choice("flow", [...new Set([...flows, ...(draft.flow ? [draft.flow] : [])])])}
      {choice("state", ["asleep", "awake", "retrying", "stuck"])}
      {(["wait", "key", "since", "until"] as const).map(input)}
      <div class="search-actions">
        <button type="submit" class="primary">
          Search
        </button>
        <button type="button" class="quiet" onClick={() => change({})}>
          Clear
        </button>
      </div>
    </form>
  );
}

interface State {
  readonly rows: readonly SleeperRow[];
  readonly next: string | null | undefined;
  readonly error: ApiError | undefined;
}

const nothing: State = { rows: [], next: undefined, error: undefined };

/** A page may be empty and have a next one: the gateway looks at a bounded number of sleepers for each. */
function useSleepers(search: SleeperSearch): State & { more(): void } {
  const [state, setState] = useState<State>(nothing);
  const loading = useRef<AbortController | undefined>(undefined);
  const load = async (after: string | undefined): Promise<void> => {
    const controller = new AbortController();
    loading.current = controller;
    try {
      const page = await ask<Page>(sleepersPath(search, limits.page, after), { signal: controller.signal });
      setState((before) => ({
        rows: after === undefined ? page.sleepers : [...before.rows, ...page.sleepers],
        next: page.next,
        error: undefined,
      }));
    } catch (error) {
      if (!controller.signal.aborted) setState((before) => ({ ...before, error: asRefusal(error) }));
    } finally {
      if (loading.current === controller) loading.current = undefined;
    }
  };
  useEffect(() => {
    setState(nothing);
    void load(undefined);
    return () => loading.current?.abort();
  }, [sleepersPath(search, limits.page)]);
  const more = (): void => {
    if (loading.current === undefined && state.error === undefined && state.next && state.rows.length < limits.messages)
      void load(state.next);
  };
  useEffect(() => {
    if (state.rows.length < limits.sleepersAtFirst) more();
  }, [state]);
  return { ...state, more };
}

const head: JSX.Element = (
  <>
    <span role="columnheader">Asleep since</span>
    <span role="columnheader">State</span>
    <span role="columnheader">Flow</span>
    <span role="columnheader">Message</span>
    <span role="columnheader">Key</span>
    <span role="columnheader">Wakes</span>
    <span role="columnheader">Waits for</span>
  </>
);

function Cells({ sleeper }: { readonly sleeper: SleeperRow }): JSX.Element {
  const { id, flow, key, since, until, state, problem } = sleeper;
  return (
    <>
      <span role="cell" class="muted" title={exact(Date.parse(since))}>
        {time(Date.parse(since))}
      </span>
      <span role="cell">
        <StateBadge state={state} />
      </span>
      <span role="cell">
        <a href={flowHref(flow)} tabIndex={-1}>
          {flow}
        </a>
      </span>
      <span role="cell">
        <a href={sleeperHref(flow, id)}>{id}</a>
      </span>
      <span role="cell">{key ?? ""}</span>
      <span role="cell" class="muted" title={exact(Date.parse(until))}>
        {time(Date.parse(until))}
      </span>
      <span role="cell">{problem ?? waitsFor(sleeper)}</span>
    </>
  );
}

function List({ search }: { readonly search: SleeperSearch }): JSX.Element {
  const { rows, next, error, more } = useSleepers(search);
  const full = rows.length >= limits.messages;
  return (
    <>
      {error === undefined ? null : <Failed error={error} />}
      <p class="count" role="status">
        {next === undefined ? "Searching" : plural(rows.length, "sleeping message")}
        {next && !full ? " so far; more as you scroll" : ""}
        {full ? ". No more are shown: make the search narrower" : ""}
      </p>
      {next === undefined && error === undefined ? <Loading rows={10} /> : null}
      {next === null && rows.length === 0 ? (
        <Empty title={sleeperFields.some((name) => search[name]) ? "No sleeping message matches." : "Nothing sleeps."}>
          A flow that waits for a signal, an answer or a time is here until it goes on.
        </Empty>
      ) : null}
      {rows.length === 0 ? null : (
        <div class="sleepers">
          <Virtual
            label="Sleepers"
            rows={rows}
            keyOf={({ flow, id }) => `${flow}\0${id}`}
            head={head}
            row={(sleeper) => <Cells sleeper={sleeper} />}
            hrefOf={({ flow, id }) => sleeperHref(flow, id)}
            onEnd={more}
          />
        </div>
      )}
    </>
  );
}

export function Sleepers(): JSX.Element {
  const [turn, setTurn] = useState(0);
  const search = readSleeperSearch(route.value.query);
  if (isKnown() && !offered("sleepers"))
    return (
      <div class="screen">
        <h1>Sleepers</h1>
        <Empty title="This gateway can't tell." />
      </div>
    );
  return (
    <div class="screen filled">
      <div class="screen-head">
        <h1>Sleepers</h1>
        <Button onClick={() => setTurn(turn + 1)}>Refresh</Button>
      </div>
      <SearchForm search={search} change={(next) => replace(href(["sleepers"], next))} />
      <List key={`${turn} ${JSON.stringify(search)}`} search={search} />
    </div>
  );
}
