/** Services that differ from another in a few things. */
import type { Service, ServiceFlow } from "#abi";

/** Members of the service, or of its only flow. */
export type ServiceChange = Partial<Service & ServiceFlow>;

export function changed(service: Service, change: ServiceChange): Service {
  const { concurrency, queue, limits, routes, outlets, lines, schedules, values, ...whole } = change;
  const own = { concurrency, queue, limits, routes, outlets, lines, schedules, values, name: change.name };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const flows = service.flows.map((flow, index) => (index === 0 ? { ...flow, ...given } : flow));
  return { ...service, flows, ...whole };
}
