/** The page: asks for the token, then shows the screen that the address names. */
import { signal } from "@preact/signals";
import { render } from "preact";
import type { JSX } from "preact";
import { listenToKeys } from "./keys.ts";
import { storedToken, storeToken, whenDenied } from "./net/client.ts";
import { startLive, stopLive } from "./net/live.ts";
import { findOffers } from "./net/offered.ts";
import { forget, isTenant } from "./net/principal.ts";
import { route, screen } from "./router.ts";
import { Connectors } from "./screens/connectors.tsx";
import { DeadLetters } from "./screens/dead-letters.tsx";
import { FlowScreen } from "./screens/flow.tsx";
import { Flows } from "./screens/flows.tsx";
import { LetterScreen } from "./screens/letter.tsx";
import { FunctionScreen } from "./screens/function.tsx";
import { Functions } from "./screens/functions.tsx";
import { Login } from "./screens/login.tsx";
import { MapScreen } from "./screens/map.tsx";
import { MessageScreen } from "./screens/message.tsx";
import { Messages } from "./screens/messages.tsx";
import { OverviewScreen } from "./screens/overview.tsx";
import { SleeperScreen } from "./screens/sleeper.tsx";
import { Sleepers } from "./screens/sleepers.tsx";
import { WriteScreen } from "./screens/write.tsx";
import { Frame } from "./ui/frame.tsx";
import { Missing } from "./ui/parts.tsx";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/screens.css";
import "./theme.ts";

const entered = signal(storedToken() !== null);
const denied = signal(false);

function enter(): void {
  denied.value = false;
  entered.value = true;
  void findOffers();
  if (!isTenant.value) startLive();
}

function leave(wasDenied: boolean): void {
  stopLive();
  storeToken(null);
  forget();
  denied.value = wasDenied;
  entered.value = false;
}

/** Screens that a tenant's key opens. */
const tenantScreens: ReadonlySet<string> = new Set(["functions", "write"]);

function Screen(): JSX.Element {
  const [, first, second] = route.value.parts;
  if (isTenant.value && !tenantScreens.has(screen.value)) return <Functions />;
  switch (screen.value) {
    case "write":
      return <WriteScreen key={route.value.query.get("tenant")} />;
    case "functions":
      return first === undefined ? <Functions /> : <FunctionScreen key={first} name={first} />;
    case "overview":
      return <OverviewScreen />;
    case "map":
      return <MapScreen />;
    case "flows":
      return first === undefined ? <Flows /> : <FlowScreen key={first} name={first} />;
    case "messages":
      return first === undefined || second === undefined ? (
        <Messages />
      ) : (
        <MessageScreen key={`${first}/${second}`} flow={first} id={second} />
      );
    case "sleepers":
      return first === undefined || second === undefined ? (
        <Sleepers />
      ) : (
        <SleeperScreen key={`${first}/${second}`} flow={first} id={second} />
      );
    case "dead-letters":
      return first === undefined || second === undefined ? <DeadLetters /> : <LetterScreen key={second} id={`${first}/${second}`} />;
    case "connectors":
      return <Connectors />;
    default:
      return (
        <Missing title="There is no such screen.">
          <a href="#/overview">Overview</a>
        </Missing>
      );
  }
}

function Page(): JSX.Element {
  if (!entered.value) return <Login denied={denied.value} enter={enter} />;
  return (
    <Frame leave={() => leave(false)}>
      <Screen />
    </Frame>
  );
}

whenDenied(() => leave(true));
listenToKeys();
if (entered.value) enter();
const root = document.getElementById("page");
if (root !== null) render(<Page />, root);
