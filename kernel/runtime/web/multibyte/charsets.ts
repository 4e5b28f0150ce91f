/** Charsets of several bytes a character, as the Encoding Standard has them (https://encoding.spec.whatwg.org): names, labels, parts. */

export interface MultibyteCharset {
  readonly name: string;
  /** Further labels. */
  readonly labels: string;
  /** Its number in kernel/native/multibyte.ts. */
  readonly number: number;
}

export type MultibytePart = "simplified-chinese" | "traditional-chinese" | "japanese" | "korean";

/** By the part that links them, `mayfly/charsets/PART`: charsets of one part share its tables. */
export const multibyteCharsets: Readonly<Record<MultibytePart, readonly MultibyteCharset[]>> = {
  "simplified-chinese": [
    { name: "gbk", labels: "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 x-gbk", number: 0 },
    { name: "gb18030", labels: "", number: 0 },
  ],
  "traditional-chinese": [{ name: "big5", labels: "big5-hkscs cn-big5 csbig5 x-x-big5", number: 1 }],
  japanese: [
    { name: "euc-jp", labels: "cseucpkdfmtjapanese x-euc-jp", number: 2 },
    { name: "iso-2022-jp", labels: "csiso2022jp", number: 3 },
    { name: "shift_jis", labels: "csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis", number: 4 },
  ],
  korean: [
    {
      name: "euc-kr",
      labels: "cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
      number: 5,
    },
  ],
};
