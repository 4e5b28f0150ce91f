// `npm run screenshots`: builds, then takes the pictures of the page in docs/pictures/.
import { setUp } from "./setup.mjs";
await setUp();
await import("../dist/test/page/main.js");
