/** The gateway's readiness as /ready shows it to whoever is trusted. */
export interface Readiness {
  readonly ready: boolean;
  /** Parts that are not ready. */
  readonly problems: readonly object[];
  /** On parts that keep no message waiting, such as history. */
  readonly remarks: readonly object[];
  /** Flows and outlets that an operator has stopped, as `flows.orders.to.crm`; they make nothing unready. */
  readonly paused: readonly string[];
  /** Of a node of a cluster: the partitions that it owns. */
  readonly partitions?: readonly number[];
}
