/**
 * Subjects of a cluster's nodes. Names of clusters and nodes are checked to be one token each.
 *
 *   mayfly.CLUSTER.ask.NODE              calls and probes to a node
 *   mayfly.CLUSTER.answer.LIFE.c.CALL    the answer to a call of the process LIFE, or the server's word that nobody listens
 *   mayfly.CLUSTER.answer.LIFE.p.NODE    that node's answer to a probe
 */
export interface Subjects {
  asked(node: string): string;
  answers(life: string): string;
  answer(life: string, call: number): string;
  probed(life: string, node: string): string;
  /** The call that an answer's subject names. */
  callOf(subject: string): number | undefined;
  /** The node that a probe's subject names. */
  nodeOf(subject: string): string | undefined;
}

export function subjectsOf(cluster: string): Subjects {
  const prefix = `mayfly.${cluster}`;
  const lastOf = (subject: string, kind: string): string | undefined => {
    const tokens = subject.split(".");
    return tokens.at(-2) === kind ? tokens.at(-1) : undefined;
  };
  return {
    asked: (node) => `${prefix}.ask.${node}`,
    answers: (life) => `${prefix}.answer.${life}.>`,
    answer: (life, call) => `${prefix}.answer.${life}.c.${call}`,
    probed: (life, node) => `${prefix}.answer.${life}.p.${node}`,
    callOf: (subject) => {
      const call = lastOf(subject, "c");
      return call === undefined ? undefined : Number(call);
    },
    nodeOf: (subject) => lastOf(subject, "p"),
  };
}
