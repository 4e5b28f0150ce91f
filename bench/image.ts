/** Build time and image size of a small flow. */
import { brotliCompressSync, constants } from "node:zlib";
import { buildImage, engineDataBytes } from "#image";
import { durations, type Row, sample, say } from "./rows.ts";
import { referenceFlow } from "./start.ts";

export async function imageRows(quick: boolean): Promise<Row[]> {
  const suite = "image";
  say("image: building");
  const { image } = await buildImage(referenceFlow);
  const warm = sample(await durations(quick ? 4 : 12, () => buildImage(referenceFlow))).p50;
  const engine = engineDataBytes(image);
  const own = image.bytes.length - engine.length;
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  const packed = brotliCompressSync(image.bytes, quality).length - brotliCompressSync(engine, quality).length;
  return [
    { suite, name: "build of a small flow with type check, warm", value: warm / 1000, unit: "s", aim: "≤ 1 s", met: warm <= 1000 },
    {
      suite,
      name: "image of a small flow, without the engine's own data",
      value: own / 1000,
      unit: "kB",
      aim: "≤ 400 kB",
      met: own <= 400_000,
    },
    { suite, name: "… compressed (brotli 11)", value: packed / 1000, unit: "kB", aim: "≤ 120 kB", met: packed <= 120_000 },
    { suite, name: "the engine's own data in it", value: engine.length / 1000, unit: "kB" },
  ];
}
