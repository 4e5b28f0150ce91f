/** Dead letters of a cluster: any node lists, retries and drops those of all. */
export { openDeadLetters, type OpenDeadLettersOptions } from "./open.ts";
