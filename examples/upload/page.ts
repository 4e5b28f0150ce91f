/** A page of this site around `body`. */
export function page(body: string, status = 200): Response {
  const text = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Prices</title><main><h1>Prices</h1>${body}</main></html>`;
  return new Response(text, {
    status,
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'; form-action 'self'" },
  });
}

/** A text of somebody else's, safe in a page. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
