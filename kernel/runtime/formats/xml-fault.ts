/** Sentences for what the machine's XML reader finds wrong with a text (kernel/native/xml.ts), with its place. */
import * as faults from "./xml-faults.ts";
import { table } from "../table.ts";

/** Names in a sentence: `$1` and `$2`. */
const sentences: Readonly<Record<number, string>> = table({
  [faults.attributeValueMissing]: "an attribute needs a value in quotes",
  [faults.attributeTwice]: "the attribute $1 stands there twice",
  [faults.spaceValue]: 'xml:space must be "default" or "preserve"',
  [faults.lessThanInAttribute]: "`<` in an attribute's value must be written as `&lt;`",
  [faults.attributeOpen]: "the attribute's value has no closing quote",
  [faults.cdataOpen]: "the CDATA section has no `]]>`",
  [faults.cdataEnd]: "`]]>` in text must be written as `]]&gt;`",
  [faults.hyphensInComment]: "a comment can't contain `--`",
  [faults.commentOpen]: "the comment has no `-->`",
  [faults.doctypeName]: "the document type declaration has no name",
  [faults.publicIdMissing]: "`PUBLIC` needs a public identifier in quotes",
  [faults.systemIdMissing]: "the document type declaration needs a system identifier in quotes",
  [faults.subsetOpen]: "the document type declaration's `[` has no `]`",
  [faults.doctypeOpen]: "the document type declaration has no `>`",
  [faults.startTagOpen]: "the start tag of $1 has no `>`, or something else stands before that",
  [faults.endTagMissing]: "the element $1 has no end tag, or something stands before it that is not XML",
  [faults.endTagOpen]: "the end tag of $1 has no `>`",
  [faults.declarationMisplaced]: "an XML declaration can only be the very beginning",
  [faults.instructionName]: "a processing instruction needs a name",
  [faults.instructionSpace]: "white space must follow the name of a processing instruction",
  [faults.instructionOpen]: "the processing instruction has no `?>`",
  [faults.publicIdCharacter]: "the public identifier has a character that none can have",
  [faults.referenceOpen]: "a reference must end with `;`: write `&` as `&amp;`",
  [faults.characterReference]: "the character reference has no number",
  [faults.referencedCharacter]: "the character reference names a character that XML does not allow",
  [faults.entityUnknown]: "the entity &$1; is not known: there are amp, lt, gt, quot and apos",
  [faults.quoteMissing]: "the closing quote is missing",
  [faults.declarationSpace]: "white space must follow `<?xml`",
  [faults.versionMissing]: 'the XML declaration needs version="1.0"',
  [faults.versionValue]: "the XML declaration's version must be 1. and digits",
  [faults.encodingValue]: "the XML declaration's encoding is not the name of one",
  [faults.standaloneValue]: '`standalone` must be "yes" or "no"',
  [faults.declarationOpen]: "the XML declaration has no `?>`, or something else stands before that",
  [faults.rootMissing]: "the root element is missing",
  [faults.contentBehindRoot]: "nothing but comments and white space can follow the root element",
  [faults.character]: "XML does not allow this character",
  [faults.entityDeclared]: "the document type declares an entity: only one without entities can be ignored",
  [faults.subsetMarkup]: "something stands between the document type's `[` and `]` that is not a declaration, a comment or an instruction",
  [faults.doctype]: 'a document type declaration (<!DOCTYPE …>) is not allowed: read it with `doctype: "ignore"` if the sender needs it',
  [faults.depth]: "elements are nested deeper than 200",
  [faults.sameWithoutPrefix]: "$1 has two attributes that are @$2 without their prefixes: read it without removePrefixes",
  [faults.namesAlike]: "too many of the names are alike to the engine, as if chosen to be: name them otherwise",
});

/** Most characters of a line that an error shows, and how many of them before the place where it does not begin with the line. */
const shownCharacters = 50;
const shownBefore = 20;

/** Place of a text's beginning in its document, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * The error for six numbers of `Native.xml` about the text whose UTF-8 bytes these are. Line and column count from 1, in UTF-16 units.
 * `start`: of the text, where it is a part of a document.
 */
export function faultError(
  fault: readonly number[],
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => string,
  start: Place = { line: 1, column: 1 },
): Error {
  const [kind = 0, at = 0, from = 0, to = 0, otherFrom = 0, otherTo = 0] = fault;
  const name = (start: number, end: number): string => decode(bytes.subarray(start, end));
  const sentence = sentences[kind]!.replace("$1", () => name(from, to)).replace("$2", () => name(otherFrom, otherTo));
  const before = name(0, at);
  const lineStart = before.lastIndexOf("\n") + 1;
  const [rest = ""] = name(at, at + 4 * shownCharacters).split("\n", 1);
  const line = before.slice(lineStart) + rest;
  const column = before.length - lineStart;
  const shown = column + shownBefore < shownCharacters ? 0 : column - shownBefore;
  const lineNumber = before.split("\n").length;
  const place = `line ${lineNumber + start.line - 1}, column ${column + (lineNumber === 1 ? start.column : 1)}`;
  return new Error(`${sentence} (${place})\n  ${line.slice(shown, shown + shownCharacters)}\n${" ".repeat(2 + column - shown)}^`);
}
