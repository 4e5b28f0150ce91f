/** The image that the ELF brings. */
import { startedByPvh } from "./boot-info";
import { headerAt, headerMagic, magic } from "./map";
import { exit, exitImage } from "./power";
import { printLine } from "./serial";

export function checkImage(): void {
  if (startedByPvh() && load<u32>(<usize>headerAt, headerMagic) === <u32>magic) return;
  printLine("mayfly: no start info or no image: start the ELF by its PVH entry");
  exit(exitImage);
}
