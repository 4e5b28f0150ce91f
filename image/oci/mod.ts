/** Flows' images as OCI artefacts: layouts, registries, signatures. */
export { type Artefact, artefactOf, type Descriptor, imageLayer, imageOf, parseManifest } from "./artefact.ts";
export { isLayout, type LaidOut, readArtefact, readLayout, writeLayout } from "./layout.ts";
export { isDigest, parseReference, type Reference, referenceText } from "./reference.ts";
export { type Credentials, Registry } from "./registry.ts";
export { sign, signingKey, trustedKey, type TrustedKey, verify } from "./signature.ts";
