// Builds what runs inside a machine: AssemblyScript natives and the bundled runtime.
export async function buildKernel(_root) {}
