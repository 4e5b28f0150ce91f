/** The role of the token: the operator's, or a tenant's, which opens the functions alone. */
import { signal } from "@preact/signals";

/** Of what is being written, in the tab's storage. */
export const draftName = "mayfly-draft";
const roleName = "mayfly-role";

export const isTenant = signal(sessionStorage.getItem(roleName) === "tenant");

export function setTenant(value: boolean): void {
  isTenant.value = value;
  if (value) sessionStorage.setItem(roleName, "tenant");
  else sessionStorage.removeItem(roleName);
}

/** Forgets all that the tab has of whoever leaves. */
export function forget(): void {
  setTenant(false);
  sessionStorage.removeItem(draftName);
}
