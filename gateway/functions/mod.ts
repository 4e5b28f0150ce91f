/** Functions as a service: deployed while the gateway runs, by tenants with keys and quotas, and served as flows. */
export { addFunctions, type FunctionsEndpoints } from "./endpoints.ts";
export { Functions } from "./functions.ts";
export type { FlowHost, FunctionFigures, FunctionImages, FunctionLogger, ImageFacts, ServedFunction } from "./ports.ts";
export type { ShownFunction, TenantUsage } from "./shown.ts";
export type { FunctionBuilder, Trial } from "./workshop.ts";
export { configuredTenants } from "./tenants-file.ts";
