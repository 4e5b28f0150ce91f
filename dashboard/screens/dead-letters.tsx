/** Dead letters: grouped by what failed, retried or dropped together, or opened one by one. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { age, bytes, count, exact, time } from "../model/format.ts";
import type { LetterGroup, LetterRow } from "../model/types.ts";
import { useLoaded } from "../net/loading.ts";
import { href, letterHref, replace, route } from "../router.ts";
import { BulkDialog, type Selection } from "../ui/bulk-dialog.tsx";
import { Await, Badge, Button, Empty, Panel } from "../ui/parts.tsx";

const keyOf = ({ flow, kind, outlet, code }: LetterGroup): string => JSON.stringify([flow, kind, outlet, code]);

function selectionOf({ flow, kind, outlet, code }: LetterGroup): Selection {
  return { flow, kind, code, ...(outlet === null ? {} : { outlet }) };
}

type Bulk = { readonly what: "retry" | "drop"; readonly selection: Selection };

function Groups(props: {
  readonly groups: readonly LetterGroup[];
  readonly chosen: LetterGroup | undefined;
  readonly act: (bulk: Bulk) => void;
}): JSX.Element {
  const { groups, chosen, act } = props;
  const now = Date.now();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Groups">
      <table class="list">
        <thead>
          <tr>
            <th class="number">Letters</th>
            <th>Flow</th>
            <th>Error</th>
            <th>Newest</th>
            <th>Oldest</th>
            <th>
              <span class="sr">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => {
            const isChosen = chosen !== undefined && keyOf(chosen) === keyOf(group);
            const { flow, outlet, code, kind } = group;
            const target = isChosen ? href(["dead-letters"]) : href(["dead-letters"], { flow, code, kind, outlet: outlet ?? undefined });
            return (
              <tr key={keyOf(group)} class={isChosen ? "chosen" : ""}>
                <td class="number">
                  <b>{count(group.count)}</b>
                </td>
                <td>
                  {flow}
                  {outlet === null ? "" : <span class="muted"> → {outlet}</span>}{" "}
                  {group.holds > 0 ? <Badge tone="warn">holds {count(group.holds)}</Badge> : null}
                </td>
                <td class="wrap">
                  <a data-row href={target} aria-current={isChosen}>
                    <code>{code}</code>
                  </a>{" "}
                  <span class="muted">{group.message}</span>
                </td>
                <td class="muted" title={exact(group.newest)}>
                  {age(now - group.newest)}
                </td>
                <td class="muted" title={exact(group.oldest)}>
                  {age(now - group.oldest)}
                </td>
                <td class="row-actions">
                  <Button onClick={() => act({ what: "retry", selection: selectionOf(group) })}>Retry…</Button>
                  <Button kind="quiet" onClick={() => act({ what: "drop", selection: selectionOf(group) })}>
                    Drop…
                  </Button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface Listed {
  readonly letters: readonly LetterRow[];
  readonly next: string | null;
  readonly remarks: readonly string[];
}

function Letters({
  selection,
  act,
  turn,
}: {
  readonly selection: Selection;
  readonly act: (bulk: Bulk) => void;
  readonly turn: number;
}): JSX.Element {
  const query = new URLSearchParams(Object.entries(selection).map(([name, value]) => [name, String(value)] as [string, string]));
  const [most, setMost] = useState(100);
  const loaded = useLoaded<Listed>(`/api/dead-letters?${query.toString()}${query.size > 0 ? "&" : ""}limit=${most}`, 5_000);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    setChosen(new Set());
    loaded.reload();
  }, [turn]);
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const bulk = (what: Bulk["what"]): void => act({ what, selection: { ids: [...chosen] } });
  const actions =
    chosen.size === 0 ? undefined : (
      <>
        <span class="muted">{count(chosen.size)} chosen</span>
        <Button onClick={() => bulk("retry")}>Retry…</Button>
        <Button kind="quiet" onClick={() => bulk("drop")}>
          Drop…
        </Button>
      </>
    );
  return (
    <Panel title="Letters" actions={actions}>
      <Await of={loaded} rows={6}>
        {({ letters, next }) => (
          <>
            <div class="scroll" tabIndex={0} role="region" aria-label="Letters">
              <table class="list">
                <thead>
                  <tr>
                    <th>
                      <input
                        type="checkbox"
                        aria-label="Choose all shown"
                        checked={letters.length > 0 && letters.every(({ id }) => chosen.has(id))}
                        onChange={(event) => setChosen(new Set(event.currentTarget.checked ? letters.map(({ id }) => id) : []))}
                      />
                    </th>
                    <th>Died</th>
                    <th>Flow</th>
                    <th>Message</th>
                    <th>Key</th>
                    <th>Error</th>
                    <th class="number">attempts</th>
                    <th class="number">size</th>
                  </tr>
                </thead>
                <tbody>
                  {letters.map((letter) => (
                    <tr key={letter.id} class={chosen.has(letter.id) ? "chosen" : ""}>
                      <td>
                        <input
                          type="checkbox"
                          aria-label={`Choose ${letter.messageId}`}
                          checked={chosen.has(letter.id)}
                          onChange={() => toggle(letter.id)}
                        />
                      </td>
                      <td class="muted" title={exact(letter.diedAt)}>
                        {time(letter.diedAt)}
                      </td>
                      <td>
                        {letter.flow}
                        {letter.outlet === null ? "" : <span class="muted"> → {letter.outlet}</span>}{" "}
                        {letter.holds ? <Badge tone="warn">holds</Badge> : null}
                      </td>
                      <td>
                        <a data-row class="cut" href={letterHref(letter.id)}>
                          {letter.messageId}
                        </a>
                      </td>
                      <td class="cut">{letter.key ?? ""}</td>
                      <td class="cut wide">
                        {letter.code}: {letter.message}
                      </td>
                      <td class="number">{count(letter.attempts)}</td>
                      <td class="number">{bytes(letter.bytes)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {next === null || most >= 1_000 ? null : (
              <p class="padded">
                <Button onClick={() => setMost(Math.min(most * 3, 1_000))}>More</Button>
              </p>
            )}
          </>
        )}
      </Await>
    </Panel>
  );
}

export function DeadLetters(): JSX.Element {
  const { query } = route.value;
  const loaded = useLoaded<{ readonly groups: readonly LetterGroup[]; readonly total: number; readonly remarks: readonly string[] }>(
    "/api/dead-letters/groups",
    5_000,
  );
  const [bulk, setBulk] = useState<Bulk | undefined>(undefined);
  const [turn, setTurn] = useState(0);
  const named = (["flow", "code", "outlet", "kind"] as const).flatMap((name) =>
    query.get(name) ? [[name, query.get(name) as string]] : [],
  );
  const selection = Object.fromEntries(named) as Selection;
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  return (
    <div class="screen">
      <div class="screen-head">
        <h1>Dead letters</h1>
        <input
          type="search"
          data-search
          placeholder="Flow, code or error"
          aria-label="Search groups"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </div>
      <Await of={loaded} rows={6}>
        {({ groups, remarks }) => {
          if (groups.length === 0)
            return <Empty title="No dead letters.">Messages and sends that fail for good appear here, whole, to be retried.</Empty>;
          const shown = groups.filter((each) =>
            [each.flow, each.code, each.message, each.outlet ?? ""].some((field) => field.toLowerCase().includes(wanted)),
          );
          const chosen = groups.find(
            (each) =>
              named.length >= 3 &&
              each.flow === selection.flow &&
              each.code === selection.code &&
              (each.outlet ?? undefined) === selection.outlet,
          );
          return (
            <>
              {remarks.map((remark) => (
                <p key={remark} class="banner">
                  {remark}
                </p>
              ))}
              <Panel title="By flow and error">
                {shown.length === 0 ? <Empty title="No group matches." /> : <Groups groups={shown} chosen={chosen} act={setBulk} />}
              </Panel>
              {named.length === 0 ? null : (
                <p class="chips">
                  {named.map(([name, value]) => (
                    <span key={name} class="chip">
                      {name}: {value}
                    </span>
                  ))}
                  <Button kind="quiet" onClick={() => replace(href(["dead-letters"]))}>
                    Show all
                  </Button>
                </p>
              )}
              <Letters key={JSON.stringify(selection)} selection={selection} act={setBulk} turn={turn} />
            </>
          );
        }}
      </Await>
      {bulk === undefined ? null : (
        <BulkDialog
          what={bulk.what}
          selection={bulk.selection}
          close={(changed) => {
            setBulk(undefined);
            if (!changed) return;
            loaded.reload();
            setTurn(turn + 1);
          }}
        />
      )}
    </div>
  );
}
