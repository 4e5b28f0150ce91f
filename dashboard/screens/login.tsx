/** The token is typed in here, tried once, and kept for this tab. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ApiError, ask, offers, storeToken } from "../net/client.ts";
import { setTenant } from "../net/principal.ts";
import { Logo } from "../ui/logo.tsx";
import { asRefusal, Failed } from "../ui/parts.tsx";

/** True for a tenant's key, which sees the functions alone. Rejects for what is neither that nor the operator's token. */
async function isTenantsKey(token: string): Promise<boolean> {
  try {
    await ask("/api/overview?past=false", { token });
    return false;
  } catch (error) {
    if (asRefusal(error).status !== 401 || !(await offers("/api/usage", "GET"))) throw error;
    await ask("/api/usage", { token });
    return true;
  }
}

export function Login({ denied, enter }: { readonly denied: boolean; readonly enter: () => void }): JSX.Element {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const first = denied ? new ApiError(401, "MF_ADMIN_DENIED", "The gateway no longer accepts the token: type it in again.") : undefined;
  const [error, setError] = useState<ApiError | undefined>(first);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      setTenant(await isTenantsKey(token));
      storeToken(token);
      enter();
    } catch (caught) {
      const refusal = asRefusal(caught);
      setError(
        refusal.status === 401
          ? new ApiError(401, refusal.code, "This is not the token of http.admin.token, nor a tenant's key.")
          : refusal,
      );
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <p class="brand">
          <Logo />
          <span>Mayfly</span>
        </p>
        <h1>Admin token</h1>
        <p class="muted">
          The value of <code>http.admin.token</code> in mayfly.yaml, or a tenant's key. It stays in this tab.
        </p>
        <label for="token" class="sr">
          Token
        </label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          autofocus
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        {error === undefined ? null : <Failed error={error} />}
        <button type="submit" class="primary" disabled={busy || token === ""}>
          Open
        </button>
      </form>
    </main>
  );
}
