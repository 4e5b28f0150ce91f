/** Addresses of peers, as they are counted. */

/**
 * The part of an address that one peer can't choose at will: all of an IPv4 address, the /64 of an IPv6 one (RFC 4291, 2.5.4: the rest is
 * the interface's). `address` is as Node gives it; undefined for a UNIX socket.
 */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [front = "", back] = address.replace(/%.*$/s, "").split("::");
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) {
    const after = back === "" ? [] : back.split(":");
    while (groups.length + after.length < 8) groups.push("0");
  }
  return groups.slice(0, 4).join(":");
}
