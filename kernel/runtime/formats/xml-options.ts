/** How XML is read: bits for kernel/native/xml.ts (AssemblyScript), set by xml-format.ts. */
/** Names lose their prefixes, and declarations of namespaces are left out. */
export const removePrefixes = 1;
/** White space at both ends of a text stays. */
export const keepSpace = 2;
/** Elements are `{ "#name", "@…", "#children" }`, with text, elements and instructions in their order. */
export const inOrder = 4;
/** A document type is read over, unless it declares entities. */
export const ignoreDoctype = 8;
