/** The resource of everything that is exported: this gateway. */
import { detectResources, envDetector, hostDetector, processDetector, resourceFromAttributes } from "@opentelemetry/resources";
import type { ThreadSettings } from "../records.ts";

export type Resource = ReturnType<typeof resourceFromAttributes>;

/** Settings before the environment, the environment before Mayfly's own. */
export function resourceOf({ service, attributes, version, instance }: ThreadSettings): Resource {
  const own = { "service.name": "mayfly", "service.version": version, "service.instance.id": instance };
  return resourceFromAttributes(own)
    .merge(detectResources({ detectors: [hostDetector, processIds, envDetector] }))
    .merge(resourceFromAttributes(attributes))
    .merge(resourceFromAttributes(service === undefined ? {} : { "service.name": service }));
}

/** The process without its command line, which may hold secrets. */
const processIds = {
  detect: () => {
    const { attributes = {} } = processDetector.detect();
    return { attributes: Object.fromEntries(Object.entries(attributes).filter(([name]) => /^process\.(pid|runtime\.)/.test(name))) };
  },
};
