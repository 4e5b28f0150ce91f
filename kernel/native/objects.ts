/**
 * How the engine lays an object out, as far as json.ts makes objects by hand and json-write.ts reads them. Read by those two
 * (AssemblyScript) and by the tests that hold these numbers against the engine as shipped (kernel/runtime/json.test.ts, json-write.test.ts).
 *
 * From quickjs-ng 0.17's quickjs.c for 32-bit pointers: JSMallocBlockHeader, JSGCObjectHeader, JSObject, JSShape, JSShapeProperty,
 * JSString, JSRuntime.
 * All offsets are in bytes, from the address an allocation has; what the allocator and the collector keep lies before it.
 *
 *   object  −5 u8   kind of the object for the collector, and its mark
 *           −4 i32  reference count
 *            0 u32  next in the collector's list        12 u32  shape
 *            4 u32  previous in it                      16 u32  property values, 8 bytes each, as many as the shape has room for
 *            8 u8   flags                               20      references held weakly
 *           10 u16  class                               24      what the class keeps; for an array:
 *                                                       28 u32  elements, 8 bytes each, if it has the flag `fast`
 *                                                       32 u32  how many they are, holes at the end not counted
 *   shape   −4 i32  reference count
 *            8 u8   whether it is hashed: only then may objects share it
 *           16 u32  buckets − 1                         24 u32  properties, deleted ones among them
 *           20 u32  room for properties                 28 u32  deleted ones
 *           36 u32  prototype, or 0
 *           40      buckets, 4 bytes each; then properties in their order, 8 bytes each: hash chain and, above bit 26, flags; atom
 *   string   0 u32  length; in the uppermost bit whether its characters have 16 bits
 *            4 u32  hash; in bits 28 and 29 where its characters are; in the last two what it is as an atom
 *           24      the characters; or, if it is a slice, 24 u32 the string it is of and 28 u32 from which of its bytes on
 *   runtime        568 u32  strings of all atoms, by atom
 *
 * An atom with the uppermost bit set is an integer.
 */
export const kindBefore = 5;
export const countBefore = 4;

export const objectBytes = 40;
export const objectNext = 0;
export const objectPrevious = 4;
/** From here on, but for its values, an object is as any other fresh one of its shape. */
export const objectBody = 8;
export const objectFlags = 8;
export const objectClass = 10;
export const objectShape = 12;
export const objectValues = 16;
/** 0 for an object without references that are held weakly. */
export const objectWeak = 20;
export const arrayElements = 28;
export const arrayCount = 32;
export const flagExotic = 8;
export const flagFast = 16;
export const classObject = 1;
export const classArray = 2;

export const shapeIsHashed = 8;
export const shapeBuckets = 16;
export const shapeRoom = 20;
export const shapeProperties = 24;
export const shapeDeleted = 28;
export const shapePrototype = 36;
export const shapeTable = 40;
export const bucketBytes = 4;
export const propertyBytes = 8;
export const propertyAtom = 4;
/** Of a property's first word: whether it is enumerable, and whether it is something other than a value. */
export const propertyEnumerable = 1 << 28;
export const propertySpecial = 3 << 30;
/** The bits above 26 of a value that can be written, enumerated and configured. */
export const propertyOrdinaryFlags = 7;

export const stringHash = 4;
export const stringCharacters = 24;
export const sliceStart = 28;
export const stringIsSlice = 1 << 28;
export const stringKind = 3 << 28;
/** The two uppermost bits of `stringHash` of an atom that is a string; others are symbols. */
export const atomIsString = 1;

export const runtimeAtoms = 568;
export const atomToJson = 154;
