export function abortSignal(_reason: unknown): void {}
