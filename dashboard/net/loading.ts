/** Values that screens ask for: loading, there, or failed; asked for again now and then. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, ApiError } from "./client.ts";

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  reload(): void;
}

/** `path` undefined: nothing is asked for. `everyMs`: asked for again, while the tab is seen. */
export function useLoaded<T>(path: string | undefined, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ readonly path: string | undefined; readonly value?: T; readonly error?: ApiError }>({ path });
  const [turn, setTurn] = useState(0);
  const shown = useRef(path);
  shown.current = path;
  useEffect(() => {
    if (path === undefined) return undefined;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async (): Promise<void> => {
      try {
        const value = await ask<T>(path, { signal: controller.signal });
        if (shown.current === path) setState({ path, value });
      } catch (error) {
        if (controller.signal.aborted) return;
        const failure = error instanceof ApiError ? error : new ApiError(0, "UNREADABLE", String(error));
        setState((before) => ({
          path,
          error: failure,
          ...(before.path === path && before.value !== undefined ? { value: before.value } : {}),
        }));
      }
      if (everyMs !== undefined && !controller.signal.aborted) timer = setTimeout(next, everyMs);
    };
    const next = (): void => {
      if (document.hidden) timer = setTimeout(next, everyMs);
      else void load();
    };
    void load();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, turn]);
  const current = state.path === path;
  const value = current ? state.value : undefined;
  const error = current ? state.error : undefined;
  return { value, error, loading: value === undefined && error === undefined, reload: () => setTurn((before) => before + 1) };
}
