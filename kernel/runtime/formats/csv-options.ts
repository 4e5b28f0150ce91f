/** How CSV is read: bits for kernel/native/csv.ts (AssemblyScript), set by csv-format.ts. */
/** Lines with nothing on them are rows. */
export const keepEmpty = 1;
/** A row with more or fewer fields than there are names is a fault. */
export const strict = 2;
/** The first row is not read: it has the names. */
export const skipFirst = 4;
/** The text is a piece of a longer one that begins with a row; two numbers follow the rows: its bytes that were read, and its rows with empty ones. */
export const piece = 8;
/** More of the text follows: a row that has no end in this piece is not read. */
export const more = 16;

// Faults of a text.
export const quoteOpen = 0;
export const behindQuote = 1;
export const fieldCount = 2;
