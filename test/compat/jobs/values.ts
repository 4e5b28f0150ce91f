/** Validation, objects, ids, functions and queues. */
import { type Job, job } from "../job.ts";

export const valueJobs: readonly Job[] = [
  job(
    "zod",
    'import { z } from "zod"; const Order = z.object({ id: z.number().int(), mail: z.email(), lines: z.array(z.object({ sku: z.string().min(1) })).min(1) });',
    'return [Order.safeParse({ id: 1, mail: "a@b.example", lines: [{ sku: "x" }] }).success, Order.safeParse({ id: "1", mail: "no", lines: [{}] }).error.issues.map((each) => [each.code, each.path.join(".")])];',
  ),
  job(
    "joi",
    'import Joi from "joi"; const schema = Joi.object({ a: Joi.string().email().required(), n: Joi.number().min(1) });',
    'return [schema.validate({ a: "a@b.com", n: "5" }).value, schema.validate({ n: 0 }, { abortEarly: false }).error.details.map((each) => each.message)];',
  ),
  job(
    "yup",
    'import * as yup from "yup"; const schema = yup.object({ name: yup.string().required(), age: yup.number().positive().integer() });',
    'return [await schema.validate({ name: "x", age: "3" }), await schema.validate({ age: -1 }, { abortEarly: false }).catch((error) => error.errors)];',
  ),
  job(
    "ajv",
    'import Ajv from "ajv"; const validate = new Ajv.default({ allErrors: true }).compile({ type: "object", properties: { a: { type: "integer" }, b: { enum: [1, 2] } }, required: ["a"] });',
    "return [validate({ a: 1, b: 2 }), validate({ b: 3 }), validate.errors.map((each) => each.message)];",
  ),
  job(
    "ajv-formats",
    'import Ajv from "ajv"; import formats from "ajv-formats"; const ajv = new Ajv.default(); formats.default(ajv);',
    'return ["email", "date-time", "uuid", "uri"].map((format) => ajv.validate({ type: "string", format }, "a@b.example"));',
  ),
  job(
    "superstruct",
    'import { object, string, number, validate, create, defaulted } from "superstruct";',
    'const User = object({ name: string(), age: defaulted(number(), 3) }); return [create({ name: "x" }, User), validate({ name: 1 }, User)[0].message];',
  ),
  job(
    "valibot",
    'import * as v from "valibot";',
    'const schema = v.object({ a: v.pipe(v.string(), v.email()), b: v.optional(v.number(), 2) }); return [v.parse(schema, { a: "a@b.example" }), v.safeParse(schema, { a: "x" }).issues.map((each) => each.message)];',
  ),
  job(
    "@sinclair/typebox",
    'import { Type } from "@sinclair/typebox"; import { Value } from "@sinclair/typebox/value";',
    'const T = Type.Object({ a: Type.Number(), b: Type.Optional(Type.String()) }); return [Value.Check(T, { a: 1 }), Value.Convert(T, { a: "5" }), [...Value.Errors(T, { a: "x" })].map((each) => each.message)];',
  ),
  job(
    "io-ts",
    'import * as t from "io-ts"; import { isRight } from "fp-ts/lib/Either.js";',
    'const T = t.type({ a: t.number }); return [isRight(T.decode({ a: 1 })), isRight(T.decode({ a: "1" }))];',
  ),
  job(
    "fp-ts",
    'import * as O from "fp-ts/lib/Option.js"; import { pipe } from "fp-ts/lib/function.js";',
    "return pipe(O.some(2), O.map((n) => n * 2), O.getOrElse(() => 0));",
  ),
  job(
    "runtypes",
    'import { Object as Obj, String as Str, Number as Num } from "runtypes";',
    'const T = Obj({ a: Str, b: Num }); return [T.guard({ a: "x", b: 1 }), T.guard({ a: 1 })];',
  ),
  job(
    "arktype",
    'import { type } from "arktype";',
    'const User = type({ name: "string", age: "number > 0" }); return [User({ name: "x", age: 3 }), User({ name: "x", age: -1 }).summary];',
  ),
  job(
    "validator",
    'import validator from "validator";',
    'return [validator.isEmail("a@b.example"), validator.isIBAN("BE68539007547034"), validator.isISO8601("2026-13-01"), validator.escape("<b>"), validator.isCreditCard("4111111111111111")];',
  ),
  job(
    "jsonschema",
    'import { Validator } from "jsonschema";',
    'return new Validator().validate({ a: "x" }, { type: "object", properties: { a: { type: "number" } } }).errors.map(String);',
  ),
  job(
    "fastest-validator",
    'import Validator from "fastest-validator"; const check = new Validator().compile({ id: "number|positive", mail: "email" });',
    'return [check({ id: 1, mail: "a@b.example" }), check({ id: -1, mail: "x" }).map((each) => each.message)];',
  ),
  job(
    "effect",
    'import { Effect, Schema, pipe } from "effect";',
    'return [await Effect.runPromise(pipe(Effect.succeed(1), Effect.map((n) => n + 1))), Schema.decodeUnknownSync(Schema.Struct({ a: Schema.NumberFromString }))({ a: "5" })];',
  ),
  job(
    "lodash",
    'import _ from "lodash";',
    'return [_.groupBy([1.2, 1.8, 2.1], Math.floor), _.merge({ a: { b: 1 } }, { a: { c: 2 } }), _.camelCase("foo bar"), _.chunk([1, 2, 3], 2), _.template("hi <%= name %>")({ name: "x" }), _.cloneDeep({ d: new Date(0) })];',
  ),
  job(
    "lodash-es",
    'import { debounce, orderBy, uniqBy, get } from "lodash-es";',
    'return [orderBy([{ a: 2 }, { a: 1 }], "a"), uniqBy([{ a: 1 }, { a: 1 }], "a"), get({ a: [{ b: 3 }] }, "a[0].b"), typeof debounce];',
  ),
  job(
    "ramda",
    'import * as R from "ramda";',
    'return [R.pipe(R.map(R.inc), R.sum)([1, 2]), R.groupBy((n) => (n % 2 ? "odd" : "even"), [1, 2, 3]), R.assocPath(["a", "b"], 1, {})];',
  ),
  job(
    "underscore",
    'import _ from "underscore";',
    'return [_.countBy([1, 2, 3], (n) => (n % 2 ? "odd" : "even")), _.template("<%= a %>")({ a: 1 })];',
  ),
  job("remeda", 'import * as R from "remeda";', "return R.pipe([1, 2, 3, 4], R.filter((n) => n > 1), R.groupBy((n) => String(n % 2)));"),
  job("immer", 'import { produce } from "immer";', "return produce({ a: [{ b: 1 }] }, (draft) => { draft.a[0].b++; draft.c = 1; });"),
  job(
    "immutable",
    'import { Map, List, fromJS } from "immutable";',
    'return [Map({ a: 1 }).set("b", 2).toJS(), List([3, 1]).sort().toArray(), fromJS({ a: { b: 1 } }).setIn(["a", "b"], 2).toJS()];',
  ),
  job(
    "radash",
    'import { group, parallel, retry } from "radash";',
    'return [group([1, 2, 3], (n) => (n % 2 ? "odd" : "even")), await parallel(2, [1, 2, 3], async (n) => n * 2), await retry({ times: 2 }, async () => 5)];',
  ),
  job(
    "object-path",
    'import path from "object-path";',
    'const object = { a: [{ b: 1 }] }; path.set(object, "a.0.c", 2); return [object, path.get(object, "a.0.b")];',
  ),
  job(
    "dot-prop",
    'import { getProperty, setProperty } from "dot-prop";',
    'return [getProperty({ a: { b: [1] } }, "a.b[0]"), setProperty({}, "x.y", 1)];',
  ),
  job("deepmerge", 'import merge from "deepmerge";', "return merge({ a: [1], b: { c: 1 } }, { a: [2], b: { d: 2 } });"),
  job(
    "fast-deep-equal",
    'import equal from "fast-deep-equal";',
    "return [equal({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), equal([1], [2])];",
  ),
  job("deep-diff", 'import deep from "deep-diff";', "return deep.diff({ a: 1, b: [1] }, { a: 2, b: [1, 2] });"),
  job(
    "microdiff",
    'import microdiff from "microdiff"; const diff = microdiff.default ?? microdiff;',
    "return diff({ a: 1 }, { a: 2, b: 1 });",
  ),
  job(
    "object-hash",
    'import hash from "object-hash";',
    'return [hash({ b: 1, a: [1, "x"] }), hash({ a: new Date(0) }, { algorithm: "md5", encoding: "base64" })];',
  ),
  job(
    "fast-json-stable-stringify",
    'import stringify from "fast-json-stable-stringify";',
    "return stringify({ b: 1, a: { d: 1, c: 2 } });",
  ),
  job(
    "safe-stable-stringify",
    'import stringify from "safe-stable-stringify";',
    "const a = { z: 1n, y: 2 }; a.self = a; return stringify(a);",
  ),
  job("flat", 'import { flatten, unflatten } from "flat";', 'return [flatten({ a: { b: [1] } }), unflatten({ "a.b.0": 1 })];'),
  job(
    "nanoid",
    'import { nanoid, customAlphabet } from "nanoid";',
    'return [nanoid().length, /^[ab]{5}$/.test(customAlphabet("ab", 5)())];',
  ),
  job(
    "uuid",
    'import { v4, v5, v3, v7, validate } from "uuid";',
    'return [validate(v4()), v5("x", v5.URL), v3("x", v3.DNS), v7().length];',
  ),
  job("ulid", 'import { ulid, decodeTime } from "ulid";', "return [ulid(1469918176385).slice(0, 10), decodeTime(ulid(1469918176385))];"),
  job("@paralleldrive/cuid2", 'import { createId, isCuid } from "@paralleldrive/cuid2";', "return isCuid(createId());"),
  job(
    "short-uuid",
    'import * as shortUuid from "short-uuid"; const short = shortUuid.createTranslator ?? shortUuid.default.createTranslator;',
    'return short().fromUUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");',
  ),
  job(
    "p-limit",
    'import pLimit from "p-limit";',
    "const limit = pLimit(2); return await Promise.all([1, 2, 3].map((n) => limit(async () => n * 2)));",
  ),
  job(
    "p-queue",
    'import PQueue from "p-queue";',
    "const queue = new PQueue({ concurrency: 1 }); const out = []; await Promise.all([1, 2, 3].map((n) => queue.add(async () => { out.push(n); }))); return out;",
  ),
  job(
    "p-retry",
    'import pRetry from "p-retry";',
    'let tries = 0; return [await pRetry(async () => { if (++tries < 3) throw new Error("again"); return tries; }, { retries: 3, minTimeout: 1 }), tries];',
  ),
  job(
    "async",
    'import async from "async";',
    "return [await async.mapLimit([1, 2, 3], 2, async (n) => n * 2), await new Promise((done) => async.waterfall([(next) => next(null, 1), (n, next) => next(null, n + 1)], (error, value) => done(value)))];",
  ),
  job(
    "bluebird",
    'import Bluebird from "bluebird";',
    'return [await Bluebird.map([1, 2], (n) => n * 2), await Bluebird.delay(1, "late"), await Bluebird.props({ a: 1 })];',
  ),
  job(
    "rxjs",
    'import { from, of, lastValueFrom, timer } from "rxjs"; import { map, mergeMap, toArray, reduce } from "rxjs/operators";',
    'return [await lastValueFrom(from([1, 2, 3]).pipe(mergeMap((n) => of(n * 2)), toArray())), await lastValueFrom(timer(1).pipe(map(() => "tick"))), await lastValueFrom(from([1, 2]).pipe(reduce((a, b) => a + b)))];',
  ),
  job(
    "eventemitter3",
    'import EventEmitter from "eventemitter3";',
    'const emitter = new EventEmitter(); const seen = []; emitter.on("a", (n) => seen.push(n)); emitter.once("a", (n) => seen.push(-n)); emitter.emit("a", 1); emitter.emit("a", 2); return seen;',
  ),
  job(
    "mitt",
    'import mitt from "mitt";',
    'const emitter = mitt(); const seen = []; emitter.on("*", (type, n) => seen.push([type, n])); emitter.emit("a", 1); return seen;',
  ),
  job(
    "lru-cache",
    'import { LRUCache } from "lru-cache";',
    'const cache = new LRUCache({ max: 2 }); cache.set("a", 1).set("b", 2).set("c", 3); return [cache.has("a"), [...cache.keys()]];',
  ),
  job(
    "quick-lru",
    'import QuickLRU from "quick-lru";',
    'const lru = new QuickLRU({ maxSize: 1 }); lru.set("a", 1); lru.set("b", 2); return [lru.has("a"), lru.get("b")];',
  ),
  job(
    "xstate",
    'import { createMachine, createActor } from "xstate";',
    'const actor = createActor(createMachine({ initial: "a", states: { a: { on: { GO: "b" } }, b: { type: "final" } } })); actor.start(); actor.send({ type: "GO" }); return [actor.getSnapshot().value, actor.getSnapshot().status];',
  ),
  job(
    "neverthrow",
    'import { ok, err, Result } from "neverthrow";',
    'return [ok(1).map((n) => n + 1).unwrapOr(0), err("x").unwrapOr(5), Result.fromThrowable(JSON.parse)("{").isErr()];',
  ),
  job(
    "ts-pattern",
    'import { match, P } from "ts-pattern";',
    'return match({ type: "a", n: 5 }).with({ type: "a", n: P.number.gt(3) }, ({ n }) => n * 2).otherwise(() => 0);',
  ),
  job(
    "json-rules-engine",
    'import { Engine } from "json-rules-engine";',
    'const engine = new Engine(); engine.addRule({ conditions: { all: [{ fact: "total", operator: "greaterThan", value: 10 }] }, event: { type: "big" } }); return (await engine.run({ total: 20 })).events;',
  ),
  job(
    "mingo",
    'import { Query, aggregate } from "mingo";',
    'return [new Query({ a: { $gt: 1 } }).find([{ a: 1 }, { a: 2 }]).all(), aggregate([{ k: 1, v: 2 }, { k: 1, v: 3 }], [{ $group: { _id: "$k", sum: { $sum: "$v" } } }])];',
  ),
  job(
    "sift",
    'import sift from "sift"; const make = sift.default ?? sift;',
    "return [{ a: 1 }, { a: 5 }].filter(make({ a: { $in: [5] } }));",
  ),
  job("seedrandom", 'import seedrandom from "seedrandom";', 'const random = seedrandom("seed"); return [random(), random.int32()];'),
  job(
    "@faker-js/faker",
    'import { faker } from "@faker-js/faker/locale/en";',
    "faker.seed(5); return [faker.person.firstName(), faker.number.int(100), faker.internet.email()];",
  ),
];
