/** As much of papaparse's interface as is used here; the types on npm need Node's. */
declare module "papaparse" {
  interface ParseError {
    readonly code: string;
    readonly message: string;
    readonly row?: number;
  }
  interface ParseMeta {
    readonly delimiter: string;
    /** Where the next row begins. */
    readonly cursor: number;
  }
  interface ParseOptions<Row> {
    readonly delimiter: string;
    readonly newline: string;
    readonly skipEmptyLines: boolean;
    /** Rows to read at most. */
    readonly preview?: number;
    /** Given each row, in place of a result. */
    readonly step?: (result: { readonly data: Row; readonly meta: ParseMeta }) => void;
  }
  const papaparse: {
    parse<Row>(text: string, options: ParseOptions<Row>): { data: Row[]; errors: ParseError[]; meta: ParseMeta };
    unparse(rows: readonly object[], options: { delimiter?: string; newline?: string; quotes?: (field: string) => boolean }): string;
  };
  export default papaparse;
}
