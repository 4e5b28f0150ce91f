/** All connectors: what is not well comes first. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Connector } from "../model/types.ts";
import { useLoaded } from "../net/loading.ts";
import { route } from "../router.ts";
import { ConnectorTable } from "../ui/connector-table.tsx";
import { Await, Empty, Panel } from "../ui/parts.tsx";

function rank({ ready, circuit, paused }: Connector): number {
  if (!ready || circuit?.state === "open") return 0;
  return paused ? 1 : 2;
}

export function Connectors(): JSX.Element {
  const loaded = useLoaded<{ readonly connectors: readonly Connector[] }>("/api/connectors", 2_000);
  const [text, setText] = useState(route.value.query.get("search") ?? "");
  const wanted = text.toLowerCase();
  return (
    <div class="screen">
      <div class="screen-head">
        <h1>Connectors</h1>
        <input
          type="search"
          data-search
          placeholder="Flow, connector, place or error"
          aria-label="Search connectors"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </div>
      <Panel>
        <Await of={loaded} rows={8}>
          {({ connectors }) => {
            const found = connectors
              .filter((each) =>
                [each.flow, each.name, each.place, each.lastError?.message ?? ""].some((field) => field.toLowerCase().includes(wanted)),
              )
              .sort((a, b) => rank(a) - rank(b));
            if (found.length === 0)
              return <Empty title={connectors.length === 0 ? "No flow has a source or an outlet." : "No connector matches."} />;
            return <ConnectorTable connectors={found.slice(0, 1_000)} withFlow changed={loaded.reload} />;
          }}
        </Await>
      </Panel>
    </div>
  );
}
