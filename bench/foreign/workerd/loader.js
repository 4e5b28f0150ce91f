// A fresh isolate for each request, by workerd's worker loader.
import source from "orders.txt";

let loaded = 0;

export default {
  async fetch(request, env) {
    const worker = env.LOADER.get(`request ${loaded++}`, async () => ({
      compatibilityDate: "2026-11-01",
      mainModule: "orders.js",
      modules: { "orders.js": source },
      globalOutbound: null,
    }));
    return await worker.getEntrypoint().fetch(request);
  },
};
