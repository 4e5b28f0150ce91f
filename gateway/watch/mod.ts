/** Figures of a running gateway, as the admin endpoints give them. */
export { Letters } from "./letters.ts";
export { connectorList, flowList, map, oneFlow, overview } from "./views.ts";
export { Watch } from "./watch.ts";
