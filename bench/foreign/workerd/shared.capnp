using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [ (name = "orders", worker = .orders) ],
  sockets = [ (name = "http", http = (), service = "orders") ],
);

const orders :Workerd.Worker = (
  modules = [ (name = "orders.js", esModule = embed "orders.js") ],
  compatibilityDate = "2026-11-01",
);
