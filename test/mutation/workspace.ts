/** A copy of the project, in a temporary folder, in which compiled files may be wrong for a while. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const left = new Set(["node_modules", ".git", ".cache", ".mayfly"]);

/** A link where the two lie in one file system. */
function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}

function copy(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (left.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copy(source, target);
    else if (entry.isSymbolicLink()) cpSync(source, target, { verbatimSymlinks: true });
    else linkOrCopy(source, target);
  }
}

export class Workspace {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static open(project: string): Workspace {
    const root = mkdtempSync(join(tmpdir(), "mayfly-mutation-"));
    copy(project, root);
    symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
    return new Workspace(root);
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), "utf8");
  }

  /** A new file in place of the link. */
  write(path: string, text: string): void {
    const file = join(this.root, path);
    rmSync(file);
    writeFileSync(file, text);
  }

  /** Runs one test file; false when it fails or does not end in time. */
  async passes(test: string, limitMs: number): Promise<boolean> {
    const child = spawn(process.execPath, ["--test", `--test-timeout=${limitMs}`, test], {
      cwd: this.root,
      stdio: "ignore",
      detached: true,
    });
    const timer = setTimeout(() => this.#kill(child.pid), limitMs);
    const [code] = (await once(child, "exit")) as [number | null];
    clearTimeout(timer);
    this.#kill(child.pid); // what the test has started
    return code === 0;
  }

  #kill(group: number | undefined): void {
    try {
      if (group !== undefined) process.kill(-group, "SIGKILL");
    } catch {
      // all of it has ended
    }
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
