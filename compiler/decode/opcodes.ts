/**
 * Every operator in scope: code, text name, immediates, stack signature (spec 5.4 and 7.10).
 * Types by letter: i = i32, l = i64, f = f32, d = f64; control and polymorphic operators have none.
 * Operators behind the 0xFC prefix have code 0x100 + their number.
 */
export type Immediate =
  | "none"
  | "block"
  | "label"
  | "labels"
  | "function"
  | "indirect"
  | "local"
  | "global"
  | "table"
  | "memory"
  | "memarg"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "types"
  | "reference"
  | "data"
  | "dataMemory"
  | "memories"
  | "element"
  | "elementTable"
  | "tables";

export interface OpcodeInfo {
  readonly code: number;
  readonly name: string;
  readonly immediate: Immediate;
  /** Letters of the operands and results, or undefined when the validator knows the operator itself. */
  readonly operands: string | undefined;
  readonly results: string;
  /** Of loads and stores: bytes accessed. */
  readonly accessBytes: number;
}

const text = `
00 unreachable none
01 nop none :
02 block block
03 loop block
04 if block
05 else none
0b end none
0c br label
0d br_if label
0e br_table labels
0f return none
10 call function
11 call_indirect indirect
1a drop none
1b select none
1c select_t types
20 local.get local
21 local.set local
22 local.tee local
23 global.get global
24 global.set global
25 table.get table
26 table.set table
28 i32.load memarg4 i:i
29 i64.load memarg8 i:l
2a f32.load memarg4 i:f
2b f64.load memarg8 i:d
2c i32.load8_s memarg1 i:i
2d i32.load8_u memarg1 i:i
2e i32.load16_s memarg2 i:i
2f i32.load16_u memarg2 i:i
30 i64.load8_s memarg1 i:l
31 i64.load8_u memarg1 i:l
32 i64.load16_s memarg2 i:l
33 i64.load16_u memarg2 i:l
34 i64.load32_s memarg4 i:l
35 i64.load32_u memarg4 i:l
36 i32.store memarg4 ii:
37 i64.store memarg8 il:
38 f32.store memarg4 if:
39 f64.store memarg8 id:
3a i32.store8 memarg1 ii:
3b i32.store16 memarg2 ii:
3c i64.store8 memarg1 il:
3d i64.store16 memarg2 il:
3e i64.store32 memarg4 il:
3f memory.size memory :i
40 memory.grow memory i:i
41 i32.const i32 :i
42 i64.const i64 :l
43 f32.const f32 :f
44 f64.const f64 :d
45 i32.eqz none i:i
46 i32.eq none ii:i
47 i32.ne none ii:i
48 i32.lt_s none ii:i
49 i32.lt_u none ii:i
4a i32.gt_s none ii:i
4b i32.gt_u none ii:i
4c i32.le_s none ii:i
4d i32.le_u none ii:i
4e i32.ge_s none ii:i
4f i32.ge_u none ii:i
50 i64.eqz none l:i
51 i64.eq none ll:i
52 i64.ne none ll:i
53 i64.lt_s none ll:i
54 i64.lt_u none ll:i
55 i64.gt_s none ll:i
56 i64.gt_u none ll:i
57 i64.le_s none ll:i
58 i64.le_u none ll:i
59 i64.ge_s none ll:i
5a i64.ge_u none ll:i
5b f32.eq none ff:i
5c f32.ne none ff:i
5d f32.lt none ff:i
5e f32.gt none ff:i
5f f32.le none ff:i
60 f32.ge none ff:i
61 f64.eq none dd:i
62 f64.ne none dd:i
63 f64.lt none dd:i
64 f64.gt none dd:i
65 f64.le none dd:i
66 f64.ge none dd:i
67 i32.clz none i:i
68 i32.ctz none i:i
69 i32.popcnt none i:i
6a i32.add none ii:i
6b i32.sub none ii:i
6c i32.mul none ii:i
6d i32.div_s none ii:i
6e i32.div_u none ii:i
6f i32.rem_s none ii:i
70 i32.rem_u none ii:i
71 i32.and none ii:i
72 i32.or none ii:i
73 i32.xor none ii:i
74 i32.shl none ii:i
75 i32.shr_s none ii:i
76 i32.shr_u none ii:i
77 i32.rotl none ii:i
78 i32.rotr none ii:i
79 i64.clz none l:l
7a i64.ctz none l:l
7b i64.popcnt none l:l
7c i64.add none ll:l
7d i64.sub none ll:l
7e i64.mul none ll:l
7f i64.div_s none ll:l
80 i64.div_u none ll:l
81 i64.rem_s none ll:l
82 i64.rem_u none ll:l
83 i64.and none ll:l
84 i64.or none ll:l
85 i64.xor none ll:l
86 i64.shl none ll:l
87 i64.shr_s none ll:l
88 i64.shr_u none ll:l
89 i64.rotl none ll:l
8a i64.rotr none ll:l
8b f32.abs none f:f
8c f32.neg none f:f
8d f32.ceil none f:f
8e f32.floor none f:f
8f f32.trunc none f:f
90 f32.nearest none f:f
91 f32.sqrt none f:f
92 f32.add none ff:f
93 f32.sub none ff:f
94 f32.mul none ff:f
95 f32.div none ff:f
96 f32.min none ff:f
97 f32.max none ff:f
98 f32.copysign none ff:f
99 f64.abs none d:d
9a f64.neg none d:d
9b f64.ceil none d:d
9c f64.floor none d:d
9d f64.trunc none d:d
9e f64.nearest none d:d
9f f64.sqrt none d:d
a0 f64.add none dd:d
a1 f64.sub none dd:d
a2 f64.mul none dd:d
a3 f64.div none dd:d
a4 f64.min none dd:d
a5 f64.max none dd:d
a6 f64.copysign none dd:d
a7 i32.wrap_i64 none l:i
a8 i32.trunc_f32_s none f:i
a9 i32.trunc_f32_u none f:i
aa i32.trunc_f64_s none d:i
ab i32.trunc_f64_u none d:i
ac i64.extend_i32_s none i:l
ad i64.extend_i32_u none i:l
ae i64.trunc_f32_s none f:l
af i64.trunc_f32_u none f:l
b0 i64.trunc_f64_s none d:l
b1 i64.trunc_f64_u none d:l
b2 f32.convert_i32_s none i:f
b3 f32.convert_i32_u none i:f
b4 f32.convert_i64_s none l:f
b5 f32.convert_i64_u none l:f
b6 f32.demote_f64 none d:f
b7 f64.convert_i32_s none i:d
b8 f64.convert_i32_u none i:d
b9 f64.convert_i64_s none l:d
ba f64.convert_i64_u none l:d
bb f64.promote_f32 none f:d
bc i32.reinterpret_f32 none f:i
bd i64.reinterpret_f64 none d:l
be f32.reinterpret_i32 none i:f
bf f64.reinterpret_i64 none l:d
c0 i32.extend8_s none i:i
c1 i32.extend16_s none i:i
c2 i64.extend8_s none l:l
c3 i64.extend16_s none l:l
c4 i64.extend32_s none l:l
d0 ref.null reference
d1 ref.is_null none
d2 ref.func function
100 i32.trunc_sat_f32_s none f:i
101 i32.trunc_sat_f32_u none f:i
102 i32.trunc_sat_f64_s none d:i
103 i32.trunc_sat_f64_u none d:i
104 i64.trunc_sat_f32_s none f:l
105 i64.trunc_sat_f32_u none f:l
106 i64.trunc_sat_f64_s none d:l
107 i64.trunc_sat_f64_u none d:l
108 memory.init dataMemory iii:
109 data.drop data :
10a memory.copy memories iii:
10b memory.fill memory iii:
10c table.init elementTable iii:
10d elem.drop element :
10e table.copy tables iii:
10f table.grow table
110 table.size table :i
111 table.fill table`;

const byCode: (OpcodeInfo | undefined)[] = [];
const byName = new Map<string, OpcodeInfo>();

for (const line of text.trim().split("\n")) {
  const [hex = "", name = "", kind = "", signature] = line.split(" ");
  const memarg = /^memarg(\d)$/.exec(kind);
  const info: OpcodeInfo = {
    code: Number.parseInt(hex, 16),
    name,
    immediate: (memarg ? "memarg" : kind) as Immediate,
    operands: signature?.split(":")[0],
    results: signature?.split(":")[1] ?? "",
    accessBytes: Number(memarg?.[1] ?? 0),
  };
  byCode[info.code] = info;
  byName.set(name, info);
}

export function opcodeInfo(code: number): OpcodeInfo | undefined {
  return byCode[code];
}

export function opcodeName(code: number): string {
  return byCode[code]?.name ?? `opcode 0x${code.toString(16)}`;
}

/** The code of an operator by its text name; a wrong name is our own bug. */
export function opcode(name: string): number {
  const info = byName.get(name);
  if (info === undefined) throw new Error(`assertion failed: no operator ${name}`);
  return info.code;
}

export const opcodeCount = byCode.length;

/** The feature that an opcode outside the table belongs to, for the message that refuses it. */
export function unsupportedFeature(code: number): string | undefined {
  if (code === 0xfd) return "SIMD";
  if (code === 0xfe) return "threads and atomics";
  if (code === 0x12 || code === 0x13) return "tail calls";
  if (code === 0x06 || code === 0x07 || code === 0x08 || code === 0x09 || code === 0x0a || code === 0x18 || code === 0x19 || code === 0x1f)
    return "exception handling";
  if (code === 0x14 || code === 0x15 || code === 0xd4 || code === 0xd5 || code === 0xd6) return "typed function references";
  if (code === 0xfb) return "garbage collection";
  return undefined;
}

/** The feature that a type outside the numbers, `funcref` and `externref` belongs to (spec 5.3), for the message that refuses it. */
export function unsupportedType(type: number): string | undefined {
  if (type === 0x7b) return "SIMD";
  if (type === 0x63 || type === 0x64) return "typed function references";
  if (type === 0x69 || type === 0x74) return "exception handling";
  if ((type >= 0x6a && type <= 0x6e) || (type >= 0x71 && type <= 0x73)) return "garbage collection";
  return undefined;
}
