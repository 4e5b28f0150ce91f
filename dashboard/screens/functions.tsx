/** Deployed functions of one tenant, or of the operator: how much it uses, and a way to each. */
import type { JSX } from "preact";
import { type DeployedFunction, sharesOf, type TenantUsage } from "../model/functions.ts";
import { ago, bytes, count, duration, percent, plural } from "../model/format.ts";
import { limits } from "../model/limits.ts";
import { offered } from "../net/offered.ts";
import { useLoaded } from "../net/loading.ts";
import { functionHref, functionsPath, go, href, route } from "../router.ts";
import { Await, Badge, Bar, Empty, Figure, Panel } from "../ui/parts.tsx";

function Usage({ usage }: { readonly usage: TenantUsage }): JSX.Element {
  const { quotas, cpuMs } = usage;
  return (
    <>
      {usage.full === null ? null : (
        <p class="banner" role="alert">
          No message is taken: {usage.full}
        </p>
      )}
      <div class="figures">
        <Figure name="Functions" value={count(usage.functions)} note={`of ${count(quotas.functions)}`} />
        <Figure name="Received today" value={count(usage.received)} note={usage.day} />
        <Figure name="Done" value={count(usage.done)} />
        <Figure name="Dead" value={count(usage.dead)} {...(usage.dead > 0 ? { tone: "bad" as const } : {})} />
        <Figure name="CPU time" value={duration(cpuMs)} note={quotas.cpuMs === null ? "no bound" : `of ${duration(quotas.cpuMs)}`} />
      </div>
      {sharesOf(usage).length === 0 ? null : (
        <Panel title="Kept">
          <dl class="shares">
            {sharesOf(usage).map(({ name, used, bound }) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <Bar share={used / Math.max(bound, 1)} label={`${name}: ${percent(used / Math.max(bound, 1))}`} />
                  {bytes(used)} of {bytes(bound)}
                </dd>
              </div>
            ))}
          </dl>
        </Panel>
      )}
    </>
  );
}

function Row({ each }: { readonly each: DeployedFunction }): JSX.Element {
  const newest = each.versions.at(-1);
  return (
    <tr data-row tabIndex={0} onKeyDown={(event) => (event.key === "Enter" ? go(functionHref(each.name, each.tenant)) : undefined)}>
      <th scope="row">
        <a href={functionHref(each.name, each.tenant)}>{each.name}</a>
      </th>
      <td>
        {each.live}
        {each.canary === null ? null : <Badge tone="accent">{`${each.canary.version} gets ${percent(each.canary.share)}`}</Badge>}
      </td>
      <td class="path">{each.urls[0] ?? ""}</td>
      <td>{newest === undefined ? "" : `${ago(Date.now() - newest.at)} by ${newest.by}`}</td>
    </tr>
  );
}

/** The tenant that is looked at: of the address, or the first that there is. */
function tenantOf(tenants: readonly TenantUsage[]): TenantUsage | undefined {
  const asked = route.value.query.get("tenant");
  return tenants.find(({ tenant }) => tenant === asked) ?? tenants[0];
}

function List({ usage }: { readonly usage: TenantUsage }): JSX.Element {
  const after = route.value.query.get("after") ?? undefined;
  const loaded = useLoaded<{ readonly functions: readonly DeployedFunction[]; readonly next: string | null }>(
    functionsPath([], usage.tenant, { after }),
    limits.functionsMs,
  );
  return (
    <Panel>
      <Await of={loaded} rows={6}>
        {({ functions, next }) =>
          functions.length === 0 ? (
            <Empty title="No function is deployed.">
              <code>mayfly deploy hello.ts</code> deploys one.
            </Empty>
          ) : (
            <div class="scroll" role="region" aria-label="Functions" tabIndex={0}>
              <table class="list">
                <thead>
                  <tr>
                    <th scope="col">Function</th>
                    <th scope="col">Version</th>
                    <th scope="col">URL</th>
                    <th scope="col">Deployed</th>
                  </tr>
                </thead>
                <tbody>
                  {functions.map((each) => (
                    <Row key={each.name} each={each} />
                  ))}
                </tbody>
              </table>
              {next === null ? null : (
                <p>
                  <a href={href(["functions"], { tenant: usage.tenant ?? undefined, after: next })}>More</a>
                </p>
              )}
            </div>
          )
        }
      </Await>
    </Panel>
  );
}

export function Functions(): JSX.Element {
  const loaded = useLoaded<{ readonly tenants: readonly TenantUsage[] }>("/api/usage", limits.functionsMs);
  return (
    <div class="screen">
      <Await of={loaded} rows={8} title="Functions">
        {({ tenants }) => {
          const shown = tenantOf(tenants);
          return (
            <>
              <div class="screen-head">
                <h1>Functions</h1>
                <div class="actions">
                  {tenants.length < 2 ? null : (
                    <select
                      aria-label="Tenant"
                      value={shown?.tenant ?? ""}
                      onChange={(event) => go(href(["functions"], { tenant: event.currentTarget.value }))}
                    >
                      {tenants.map(({ tenant, functions }) => (
                        <option key={tenant} value={tenant ?? ""}>
                          {tenant} ({plural(functions, "function")})
                        </option>
                      ))}
                    </select>
                  )}
                  {offered("build") ? (
                    <a class="button primary" href={href(["write"], { tenant: shown?.tenant ?? undefined })}>
                      New function
                    </a>
                  ) : null}
                </div>
              </div>
              {shown === undefined ? (
                <Empty title="There is no tenant.">Add one to the file of tenants.</Empty>
              ) : (
                <>
                  <Usage usage={shown} />
                  <List key={shown.tenant} usage={shown} />
                </>
              )}
            </>
          );
        }}
      </Await>
    </div>
  );
}
