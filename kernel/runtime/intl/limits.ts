/** Bounds of `Intl`: what a message can name must not fill memory. */

/** Zones that stay read. More than IANA has names; further spellings are read again. */
export const mostKeptZones = 1000;
/** Digits behind the point that a number is written with at most (ECMA-402). */
export const mostFractionDigits = 100;
/** Digits that are compared as one number (ICU's bound); those behind are the next. */
export const mostNumberDigits = 254;
/** Rows of a locale's table that stay read. A table has some 600. */
export const mostKeptRows = 2000;
