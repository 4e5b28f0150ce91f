/** As much of papaparse's interface as is used here; the types on npm need Node's. */
declare module "papaparse" {
  interface ParseError {
    readonly code: string;
    readonly message: string;
    readonly row?: number;
  }
  const papaparse: {
    parse<Row>(text: string, options: { delimiter: string; skipEmptyLines: boolean }): { data: Row[]; errors: ParseError[] };
    unparse(rows: readonly (readonly string[])[], options: { delimiter: string; newline: string }): string;
  };
  export default papaparse;
}
