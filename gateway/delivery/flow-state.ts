/** A flow as its operator wants it: see ../switches.ts. */
export type FlowState = "running" | "paused" | "draining";
