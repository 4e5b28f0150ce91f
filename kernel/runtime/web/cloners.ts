/** How parts say that their objects are serialisable (HTML, §2.7.1): for structuredClone, which may not be linked. */

/** A copy of an object of its class; undefined for any other. */
export type Cloner = (value: object) => object | undefined;

export const cloners: Cloner[] = [];
