/** Which long step makes way when every process or virtual machine is taken and a flow needs one. */

/** A step that has run for a while and was never stopped. */
export interface LongStep {
  /** Processes or virtual machines of its flow. */
  readonly places: number;
  readonly ranMs: number;
}

/**
 * The shortest step of the flow that has most. A flow that has `places` of its own takes none from one that would then have fewer; one
 * that has none takes any.
 */
export function stepToStop<Step extends LongStep>(long: readonly Step[], places: number): Step | undefined {
  const [first] = long.filter((step) => places === 0 || step.places > places + 1).sort((a, b) => b.places - a.places || a.ranMs - b.ranMs);
  return first;
}
