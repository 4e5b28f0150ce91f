/** Options of commands that ask a running gateway. */
import { type Command, Option } from "commander";
import { jsonOption } from "./cli.ts";

export function gatewayOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "path of mayfly.yaml, to find the gateway", "mayfly.yaml")
    .option("--gateway <url>", "address of a running gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else by mayfly.yaml)")
    .addOption(new Option("--token <token>", "http.admin.token, for a gateway given by URL (default: MAYFLY_TOKEN)"))
    .addOption(jsonOption());
}
