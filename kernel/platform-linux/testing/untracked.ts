/** The platform as it is where /proc is not there: nothing tells which pages were written, so all are dropped after each message. */
import { begin, serve, settle, stays } from "../main";
import { trackPages } from "../pristine";

export { interrupt } from "../main";

export function main(): void {
  begin();
  trackPages(false);
  for (;;) {
    serve();
    if (!stays()) settle();
  }
}
