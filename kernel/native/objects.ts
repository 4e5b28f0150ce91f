/**
 * How the engine lays an object out, as far as json.ts makes objects by hand. Read by json.ts (AssemblyScript) and by the test that
 * holds these numbers against the engine as shipped (kernel/runtime/json.test.ts).
 *
 * From quickjs-ng 0.17's quickjs.c for 32-bit pointers: JSMallocBlockHeader, JSGCObjectHeader, JSObject, JSShape, JSShapeProperty.
 * All offsets are in bytes, from the address an allocation has; what the allocator and the collector keep lies before it.
 *
 *   object  −5 u8   kind of the object for the collector, and its mark
 *           −4 i32  reference count
 *            0 u32  next in the collector's list        12 u32  shape
 *            4 u32  previous in it                      16 u32  property values, 8 bytes each, as many as the shape has room for
 *            8      flags, class                        20      references held weakly, what the class keeps
 *   shape   −4 i32  reference count
 *            8 u8   whether it is hashed: only then may objects share it
 *           16 u32  buckets − 1                         24 u32  properties, deleted ones among them
 *           20 u32  room for properties                 28 u32  deleted ones
 *           40      buckets, 4 bytes each; then properties in their order, 8 bytes each: hash chain and flags, atom
 */
export const kindBefore = 5;
export const countBefore = 4;

export const objectBytes = 40;
export const objectNext = 0;
export const objectPrevious = 4;
/** From here on, but for its values, an object is as any other fresh one of its shape. */
export const objectBody = 8;
export const objectShape = 12;
export const objectValues = 16;

export const shapeIsHashed = 8;
export const shapeBuckets = 16;
export const shapeRoom = 20;
export const shapeProperties = 24;
export const shapeDeleted = 28;
export const shapeTable = 40;
export const bucketBytes = 4;
export const propertyBytes = 8;
export const propertyAtom = 4;
