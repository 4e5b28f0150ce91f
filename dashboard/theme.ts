/** Dark or light: as the system says, unless the switch was used. */
import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light";

const name = "mayfly-theme";
const system = matchMedia("(prefers-color-scheme: light)");
const systemTheme = (): Theme => (system.matches ? "light" : "dark");
const stored = localStorage.getItem(name);

export const theme = signal<Theme>(stored === "dark" || stored === "light" ? stored : systemTheme());

system.addEventListener("change", () => {
  if (localStorage.getItem(name) === null) theme.value = systemTheme();
});

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function switchTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  if (theme.value === systemTheme()) localStorage.removeItem(name);
  else localStorage.setItem(name, theme.value);
}

export function colour(token: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${token}`).trim();
}
