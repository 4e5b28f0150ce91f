/**
 * Faults of an XML text, as kernel/native/xml.ts (AssemblyScript) numbers them; xml-fault.ts has a sentence for each.
 */
export const attributeValueMissing = 1;
export const attributeTwice = 2;
export const spaceValue = 3;
export const lessThanInAttribute = 4;
export const attributeOpen = 5;
export const cdataOpen = 6;
export const cdataEnd = 7;
export const hyphensInComment = 8;
export const commentOpen = 9;
export const doctypeName = 10;
export const publicIdMissing = 11;
export const systemIdMissing = 12;
export const subsetOpen = 13;
export const doctypeOpen = 14;
export const startTagOpen = 15;
export const endTagMissing = 16;
export const endTagOpen = 17;
export const declarationMisplaced = 18;
export const instructionName = 19;
export const instructionSpace = 20;
export const instructionOpen = 21;
export const publicIdCharacter = 22;
export const referenceOpen = 23;
export const characterReference = 24;
export const referencedCharacter = 25;
export const entityUnknown = 26;
export const quoteMissing = 27;
export const declarationSpace = 28;
export const versionMissing = 29;
export const versionValue = 30;
export const encodingValue = 31;
export const standaloneValue = 32;
export const declarationOpen = 33;
export const rootMissing = 34;
export const contentBehindRoot = 35;
export const character = 36;
export const entityDeclared = 41;
export const subsetMarkup = 42;
// Faults of a text that is well formed: reported only where it is.
export const doctype = 37;
export const depth = 38;
export const sameWithoutPrefix = 39;
export const namesAlike = 40;
