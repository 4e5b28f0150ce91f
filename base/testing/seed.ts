/** Seed of all random tests of a file: MAYFLY_SEED, or a new one. It is printed if the file fails. Tests with fast-check print theirs. */
const given = process.env["MAYFLY_SEED"];

export const seed = given === undefined ? Date.now() % 2 ** 30 : Number(given);

process.once("exit", (code) => {
  if (code !== 0) console.error(`MAYFLY_SEED=${seed} repeats this run`);
});
