import type { JSX } from "preact";

export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <g fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round">
        <path d="M16 8v16" />
        <path d="M16 12C12 5 5 5 4 8.5S8 15 16 15" />
        <path d="M16 12c4-7 11-7 12-3.5S24 15 16 15" />
        <path d="M16 24l-3 4M16 24l3 4" />
      </g>
    </svg>
  );
}
