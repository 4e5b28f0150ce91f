/** The frame of every screen: navigation, the state of the connection, theme, help. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { helpIsOpen } from "../keys.ts";
import { count } from "../model/format.ts";
import { connection, overview } from "../net/live.ts";
import { isKnown, offered } from "../net/offered.ts";
import { isTenant } from "../net/principal.ts";
import { route, screen } from "../router.ts";
import { switchTheme, theme } from "../theme.ts";
import { Logo } from "./logo.tsx";
import { Announcer, Dialog, Dot } from "./parts.tsx";

const places = [
  { id: "overview", name: "Overview" },
  { id: "map", name: "Map" },
  { id: "flows", name: "Flows" },
  { id: "messages", name: "Messages" },
  { id: "sleepers", name: "Sleepers" },
  { id: "dead-letters", name: "Dead letters" },
  { id: "connectors", name: "Connectors" },
  { id: "functions", name: "Functions" },
] as const;

function mark(id: string): JSX.Element | null {
  const now = overview.value;
  if (id === "overview" && now !== undefined && now.problems.length > 0)
    return (
      <span class="mark warn">
        {count(now.problems.length)}
        <span class="sr"> problems</span>
      </span>
    );
  if (id === "sleepers" && (now?.sleepers ?? 0) > 0)
    return (
      <span class="mark">
        {count(now?.sleepers ?? 0)}
        <span class="sr"> asleep</span>
      </span>
    );
  if (id === "dead-letters" && now !== undefined && now.deadLetters > 0)
    return (
      <span class="mark">
        {count(now.deadLetters)}
        <span class="sr"> letters</span>
      </span>
    );
  return null;
}

function Connection(): JSX.Element {
  const state = connection.value;
  if (state === "live") return <Dot tone="ok" label="Live: figures arrive each second" />;
  return (
    <Dot tone={state === "lost" ? "bad" : "calm"} label={state === "lost" ? "The gateway does not answer; trying again" : "Connecting"} />
  );
}

function Nav(): JSX.Element {
  const shown = places.filter(({ id }) => {
    if (id === "functions") return isTenant.value || offered(id);
    return !isTenant.value && ((id !== "messages" && id !== "sleepers") || !isKnown() || offered(id));
  });
  return (
    <nav aria-label="Screens">
      {shown.map(({ id, name }) => (
        <a
          key={id}
          href={`#/${id}`}
          class="place"
          aria-current={screen.value === id || (id === "functions" && screen.value === "write") ? "page" : undefined}
        >
          <span>{name}</span>
          {mark(id)}
        </a>
      ))}
    </nav>
  );
}

const keys: readonly (readonly [string, string])[] = [
  ["/", "Search"],
  ["j  k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["g o", "Overview"],
  ["g m", "Map"],
  ["g f", "Flows"],
  ["g h", "Messages (history)"],
  ["g s", "Sleepers"],
  ["g d", "Dead letters"],
  ["g c", "Connectors"],
  ["g u", "Functions"],
  ["Esc", "Leave a field or close a dialog"],
  ["?", "This help"],
];

function Help(): JSX.Element {
  return (
    <Dialog title="Keyboard" close={() => (helpIsOpen.value = false)}>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(/ +/).map((each) => (
                <kbd key={each}>{each}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

export function Frame({ leave, children }: { readonly leave: () => void; readonly children: ComponentChildren }): JSX.Element {
  const main = useRef<HTMLElement>(null);
  const address = route.value.parts.join("/");
  useEffect(() => {
    main.current?.scrollTo(0, 0);
    document.title = `${places.find(({ id }) => id === screen.value)?.name ?? "Mayfly"} · Mayfly`;
  }, [address]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header class="side">
        <a class="brand" href={isTenant.value ? "#/functions" : "#/overview"}>
          <Logo />
          <span>Mayfly</span>
          {isTenant.value ? null : <Connection />}
        </a>
        <Nav />
        <div class="side-foot">
          <button type="button" class="quiet" onClick={switchTheme}>
            {theme.value === "dark" ? "Light" : "Dark"}
          </button>
          <button type="button" class="quiet" onClick={() => (helpIsOpen.value = true)}>
            Keys
          </button>
          <button type="button" class="quiet" onClick={leave}>
            Leave
          </button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {connection.value === "lost" ? (
          <p class="banner" role="alert">
            The gateway does not answer. What you see is as it was last; the page tries again.
          </p>
        ) : null}
        {children}
      </main>
      <Announcer />
      {helpIsOpen.value ? <Help /> : null}
    </div>
  );
}
