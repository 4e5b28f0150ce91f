// Loaded by `npm test` before each file when MAYFLY_SEED is set: properties of fast-check run with that seed.
import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.MAYFLY_SEED) });
