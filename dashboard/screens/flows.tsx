/** All flows, found by name. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FlowRow } from "../model/types.ts";
import { useLoaded } from "../net/loading.ts";
import { FlowTable } from "../ui/flow-table.tsx";
import { Await, Empty, Panel } from "../ui/parts.tsx";

export function Flows(): JSX.Element {
  const loaded = useLoaded<{ readonly flows: readonly FlowRow[] }>("/api/flows", 2_000);
  const [text, setText] = useState("");
  return (
    <div class="screen">
      <div class="screen-head">
        <h1>Flows</h1>
        <input
          type="search"
          data-search
          placeholder="Name of a flow, a source or an outlet"
          aria-label="Search flows"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </div>
      <Panel>
        <Await of={loaded} rows={8}>
          {({ flows }) => {
            const found = flows.filter(({ name, from, to }) =>
              [name, ...from, ...to].some((each) => each.toLowerCase().includes(text.toLowerCase())),
            );
            if (found.length > 0) return <FlowTable flows={found.slice(0, 500)} />;
            return flows.length === 0 ? <Empty title="No flow is configured." /> : <Empty title="No flow matches." />;
          }}
        </Await>
      </Panel>
    </div>
  );
}
