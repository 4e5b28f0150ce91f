/** Bounds of `Intl`: what a message can name must not fill memory. */

/** Zones that stay read. More than IANA has names; further spellings are read again. */
export const mostKeptZones = 1000;
