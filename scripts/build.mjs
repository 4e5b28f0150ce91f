// `npm run build`: install and compile, nothing else.
import { setUp } from "./setup.mjs";
await setUp();
