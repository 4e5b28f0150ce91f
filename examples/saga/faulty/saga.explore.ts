/** The rules of the saga, over its faulty variant. */
import { explore } from "mayfly/explore";
import { exploration } from "../flows/saga.explore.ts";

export default explore(exploration);
