/** `import "mayfly/xml"` and its like link a part of the runtime into the image; there is nothing to name. */
export {};
