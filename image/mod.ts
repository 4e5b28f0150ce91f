/** flow.ts → image: bundle, boot once, freeze; and reading images back. */
export { type BuildOptions, type Built, buildImage, imageOfBundle } from "./build.ts";
export { bundleFlow } from "./bundle.ts";
export { buildExplained, type FindFault } from "./explain.ts";
export { defaultCacheFolder, type ExecutableSettings, linuxExecutable, linuxProgram } from "./executable.ts";
export { hasOwnKernel, kernelOf } from "./kernel.ts";
export { type Image, isImageFile, loadImage, mostFileBytes, readImage } from "./file.ts";
export * from "./oci/mod.ts";
export { type Manifest } from "./manifest.ts";
export { memoryShortage } from "./room.ts";
export { engineDataBytes } from "./engine-data.ts";
export { metalProgram } from "./metal.ts";
export { engineLibs } from "./check.ts";
export { type DroppedPromise, droppedPromises, droppedPromisesOf } from "./promises.ts";
export { projectFolder, type Readable, readableFor, refusedFile } from "./readable.ts";
export { serviceNote, serviceOf, serviceTarget, type ServiceTarget, writeMicrovm } from "./microvm.ts";
export { serviceProgram, type ServiceSettings, writeServiceExecutable } from "./service-executable.ts";
export { type PvhSettings, writePvh } from "./pvh.ts";
export { type Frame, framesText, type Place, placeText, StackMapper } from "./stack.ts";
