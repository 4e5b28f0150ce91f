/**
 * Functions that are written in the page: built apart from the gateway, and tried in a machine whose sends go nowhere. One build or trial of a
 * tenant at a time, and few of all; each counts as a change, a trial as a request as well.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "#base";
import type { Ceilings } from "../contract/config.ts";
import type { Problem } from "../contract/http/problem.ts";
import { ImageFiles } from "./image-files.ts";
import { functionLimits } from "./limits.ts";
import type { ImageFacts } from "./ports.ts";
import { checkName } from "./records.ts";
import type { Tenant } from "./tenants.ts";
import type { Uploads } from "./uploads.ts";

export interface TrialMessage {
  readonly body: string;
  /** Empty: none. */
  readonly contentType: string;
}

export interface TrialText {
  readonly contentType: string;
  readonly text: string;
}

/** The result of a trial. Texts are cut to a length. */
export interface Trial {
  readonly status: "done" | "failed";
  readonly error: { readonly code: string; readonly message: string; readonly stack: string | undefined } | null;
  readonly reply: ({ readonly status: number } & TrialText) | null;
  readonly sends: readonly ({ readonly outlet: string } & TrialText)[];
  readonly logs: readonly { readonly level: string; readonly text: string }[];
  /** Under the message's key, afterwards. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly cpuMs: number;
  /** The recording: what the machine was given and what it asked for, one line each, in order. */
  readonly events: readonly string[];
}

export interface TrialTerms {
  /** Undefined: the gateway's own. */
  readonly monitor: string | undefined;
  readonly limits: Ceilings;
}

/** Port to whoever builds and runs: the command line. */
export interface FunctionBuilder {
  /** TypeScript of one flow → its image, types checked. Rejects with a CodedError that names the places of what is wrong. */
  build(code: string, name: string): Promise<{ readonly bytes: Uint8Array; readonly sha256: string }>;
  /** Runs an image once; its outlets answer nothing. Rejects with a CodedError. */
  run(image: Uint8Array, message: TrialMessage, terms: TrialTerms): Promise<Trial>;
}

export interface WorkshopPorts {
  readonly builder: FunctionBuilder;
  readonly uploads: Pick<Uploads, "has" | "put">;
  /** Of the images. */
  readonly folder: string;
  /** Counts a change. Throws MF_DEPLOY_RATE. */
  readonly takeDeploy: (tenant: Tenant) => void;
  /** Counts a request; or why it is refused. */
  readonly request: (tenant: Tenant) => Problem | undefined;
}

export interface Built {
  /** SHA-256 of the image, which is uploaded. */
  readonly image: string;
  readonly facts: ImageFacts;
}

export class Workshop {
  readonly #ports: WorkshopPorts;
  /** Tenants that are being served. */
  readonly #busy = new Set<string>();

  constructor(ports: WorkshopPorts) {
    this.#ports = ports;
  }

  /** Builds a flow and uploads it. Rejects with MF_BUILD_…, MF_FLOW_…, MF_DEPLOY_RATE, and what an upload rejects with. */
  build(tenant: Tenant, name: string, code: string): Promise<Built> {
    checkName(name, "a function");
    return this.#alone(tenant, async () => {
      const { bytes, sha256 } = await this.#ports.builder.build(code, name);
      return { image: sha256, facts: await this.#ports.uploads.put(tenant, sha256, bytes) };
    });
  }

  /** Runs an image that the tenant has uploaded. Rejects with MF_FUNCTION_IMAGE, MF_TENANT_…. */
  run(tenant: Tenant, image: string, message: TrialMessage): Promise<Trial> {
    return this.#alone(tenant, async () => {
      const { uploads, builder, folder, request } = this.#ports;
      if (!uploads.has(tenant.name, image))
        throw new CodedError("MF_FUNCTION_IMAGE", `the image sha256:${image.slice(0, 12)} is not there: build it again`);
      const problem = request(tenant);
      if (problem !== undefined) throw new CodedError(problem.code, problem.detail);
      const bytes = await readFile(join(folder, ImageFiles.nameOf(image)));
      const limits = { ...tenant.limits, time: Math.min(tenant.limits.time, functionLimits.trialMs) };
      return builder.run(bytes, message, { monitor: tenant.monitor, limits });
    });
  }

  async #alone<T>(tenant: Tenant, work: () => Promise<T>): Promise<T> {
    this.#ports.takeDeploy(tenant);
    if (this.#busy.has(tenant.name) || this.#busy.size >= functionLimits.workshopPlaces)
      throw new CodedError("MF_BUILD_BUSY", "another build or trial is under way: try again in a moment");
    this.#busy.add(tenant.name);
    try {
      return await work();
    } finally {
      this.#busy.delete(tenant.name);
    }
  }
}
