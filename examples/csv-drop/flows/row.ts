import { fail, flow } from "mayfly";

interface Row {
  email: string;
  name: string;
  since: string;
  spend: string;
}

function refuse(line: string, message: string): never {
  fail(`line ${line}: ${message}`, { code: "ROW_INVALID", retry: false });
}

/** One row in, one customer out. A row that makes no sense ends as a dead letter, whole, with the reason. */
export default flow<"crm">((msg, { to }) => {
  const { email, name, since, spend } = msg.json<Row>();
  const line = msg.headers["x-line"] ?? "?";
  if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email)) refuse(line, `${JSON.stringify(email)} is not an email address`);
  const day = /^(\d{2})\.(\d{2})\.(\d{4})$/.exec(since);
  if (day === null) refuse(line, `${JSON.stringify(since)} is not a day such as 31.12.2025`);
  const amount = Number(spend.replace(/\./g, "").replace(",", ".")); // 1.234,50
  if (!Number.isFinite(amount)) refuse(line, `${JSON.stringify(spend)} is not an amount`);
  to.crm.send({ email: email.toLowerCase(), name, since: `${day[3]}-${day[2]}-${day[1]}`, spend: amount }, { key: email.toLowerCase() });
});
