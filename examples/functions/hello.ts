import { flow } from "mayfly";

export default flow((msg) => `hello ${msg.text() || "stranger"}`);
