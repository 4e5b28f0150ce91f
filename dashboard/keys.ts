/** The keyboard: `/` search, `j` `k` move, `g` and a letter go, `?` help. Keys that are typed into a field are the field's. */
import { signal } from "@preact/signals";
import { go } from "./router.ts";

export const helpIsOpen = signal(false);

/** Takes moves instead of the rows that stand in the page: a list that shows only some of its rows. */
export interface Mover {
  move(by: number): void;
  open(): void;
}

let mover: Mover | undefined;
export function useMover(next: Mover): () => void {
  mover = next;
  return () => {
    if (mover === next) mover = undefined;
  };
}

const places: Readonly<Record<string, string>> = {
  o: "#/overview",
  m: "#/map",
  f: "#/flows",
  h: "#/messages",
  s: "#/sleepers",
  d: "#/dead-letters",
  c: "#/connectors",
  u: "#/functions",
};

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function moveRows(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

let afterG = 0;

function handle(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) {
    (event.target as HTMLElement).blur();
    event.preventDefault(); // a search field would be emptied
  }
  if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
  const place = Date.now() - afterG < 1000 ? places[event.key] : undefined;
  afterG = 0;
  if (place !== undefined) go(place);
  else if (event.key === "g") afterG = Date.now();
  else if (event.key === "/") document.querySelector<HTMLElement>("[data-search]")?.focus();
  else if (event.key === "?") helpIsOpen.value = true;
  else if (event.key === "j" || event.key === "k") {
    const by = event.key === "j" ? 1 : -1;
    if (mover === undefined) moveRows(by);
    else mover.move(by);
  } else if (event.key === "Enter" && mover !== undefined && document.activeElement === document.body) mover.open();
  else return;
  event.preventDefault();
}

export function listenToKeys(): void {
  addEventListener("keydown", handle);
}
