/** Options of commands that work on a recorded message. */
import { type Command, InvalidArgumentError, Option } from "commander";

function attemptNumber(text: string): number {
  const attempt = Number(text);
  if (!Number.isInteger(attempt) || attempt < 1) throw new InvalidArgumentError("It must be a number from 1.");
  return attempt;
}

/** Options that name a recorded message and the gateway that has it. */
export function recordingOptions(command: Command): Command {
  return command
    .option("--of <flow>", "the flow's name in mayfly.yaml, where two flows have a message of that id")
    .option("--attempt <number>", "this attempt (default: the last)", attemptNumber)
    .option("-c, --config <file>", "path of mayfly.yaml, to find the gateway, the recordings and the images", "mayfly.yaml")
    .option("--gateway <url>", "address of a running gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else by mayfly.yaml)")
    .addOption(new Option("--token <token>", "http.admin.token, for a gateway given by URL (default: MAYFLY_TOKEN)"));
}
