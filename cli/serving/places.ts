/** A logger that shows where in the flow's source an error stood: the gateway knows the bundle's places only. */
import type { RootLogger } from "#gateway";
import { framesText, type StackMapper } from "../machine/stack.ts";

/** Gives the mapper of a flow's image, when it is known. Called for failures only. */
export type MapperOf = (flow: string) => StackMapper | undefined;

function placed(fields: object, flow: string | undefined, mapperOf: MapperOf): object {
  const { stack } = fields as { readonly stack?: unknown };
  if (typeof stack !== "string" || flow === undefined) return fields;
  const frames = mapperOf(flow)?.frames(stack) ?? [];
  return frames.length === 0 ? fields : { ...fields, stack: framesText(frames) };
}

export function withPlaces(logger: RootLogger, mapperOf: MapperOf, flow?: string): RootLogger {
  return {
    debug: (fields, text) => logger.debug(fields, text),
    info: (fields, text) => logger.info(fields, text),
    warn: (fields, text) => logger.warn(placed(fields, flow, mapperOf), text),
    error: (fields, text) => logger.error(placed(fields, flow, mapperOf), text),
    child: (fields) => {
      const named = (fields as { readonly flow?: unknown }).flow;
      return withPlaces(logger.child(fields), mapperOf, typeof named === "string" ? named : flow);
    },
  };
}
