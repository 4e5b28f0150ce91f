using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [ (name = "loader", worker = .loader) ],
  sockets = [ (name = "http", http = (), service = "loader") ],
);

const loader :Workerd.Worker = (
  modules = [ (name = "loader.js", esModule = embed "loader.js"), (name = "orders.txt", text = embed "orders.js") ],
  bindings = [ (name = "LOADER", workerLoader = ()) ],
  compatibilityDate = "2026-11-01",
);
