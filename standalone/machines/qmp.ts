/** QEMU's monitor: lines of JSON over a UNIX socket (QEMU's docs/interop/qmp-spec). Two commands are enough here. */
import { createConnection } from "node:net";
import { standaloneLimits } from "../limits.ts";

/** Sends one command; true when QEMU has accepted it. False as well where there is no QEMU any more. */
export function qmp(path: string, command: "system_powerdown" | "quit"): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(path);
    const finish = (accepted: boolean): void => {
      socket.destroy();
      done(accepted);
    };
    socket.setTimeout(standaloneLimits.monitorMs, () => finish(false));
    socket.on("error", () => finish(false)).on("close", () => finish(false));
    let text = "";
    let asked = false;
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.length > standaloneLimits.monitorBytes) return finish(false);
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (line.includes('"QMP"')) socket.write('{"execute":"qmp_capabilities"}\n');
        else if (line.includes('"error"')) return finish(false);
        else if (line.includes('"return"')) {
          if (asked) return finish(true);
          asked = true;
          socket.write(`{"execute":"${command}"}\n`);
        }
      }
    });
  });
}
