/** Six JavaScript kernels that lean on different parts of the engine. Each gives a checksum as text. */
export const kernels: Readonly<Record<string, string>> = {
  calls: `(() => { const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2); return String(fib(27)); })()`,
  objects: `(() => { class P { constructor(x, y) { this.x = x; this.y = y; } add(o) { return new P(this.x + o.x, this.y ^ o.y); } }
    let p = new P(0, 0); const step = new P(3, 5); for (let i = 0; i < 300000; i++) { p = p.add(step); if (p.x > 1e6) p.x = 0; } return p.x + "," + p.y; })()`,
  arrays: `(() => { let seed = 1; const next = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff);
    const a = Array.from({ length: 60000 }, next); a.sort((x, y) => x - y);
    return String(a.filter((_, i) => i % 7 === 0).map(x => x % 1000).reduce((s, x) => (s * 31 + x) | 0, 0)); })()`,
  strings: `(() => { const lines = []; for (let i = 0; i < 4000; i++) lines.push({ id: i, name: "item-" + i, tags: ["a", "b" + i % 10], price: i * 1.25 });
    let total = 0; for (let r = 0; r < 4; r++) { const text = JSON.stringify(lines); total += JSON.parse(text).length + text.length; }
    const words = lines.map(l => l.name.toUpperCase().split("-").reverse().join("+")).join(";"); return total + ":" + words.replace(/ITEM/g, "x").length; })()`,
  floats: `(() => { const n = 120; const a = new Float64Array(n * n), b = new Float64Array(n * n), c = new Float64Array(n * n);
    for (let i = 0; i < n * n; i++) { a[i] = i % 17 / 3; b[i] = i % 13 * 0.7; }
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) { let s = 0; for (let k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j]; c[i * n + j] = Math.sqrt(s); }
    return c.reduce((x, y) => x + y, 0).toFixed(6); })()`,
  maps: `(() => { const m = new Map(); for (let i = 0; i < 120000; i++) { const k = "k" + (i * 7919 % 5003); m.set(k, (m.get(k) ?? 0) + i % 11); }
    let s = 0; for (const [k, v] of m) s = (s * 33 + v + k.length) | 0; const set = new Set([...m.keys()].map(k => k.slice(0, 3))); return s + "," + set.size; })()`,
};
