// Apache Kafka for tests, from Maven Central: its jars in a folder of the user's cache, fetched once.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

const version = "4.1.0";
/** connectors/testing/kafka-server.ts looks here. */
export const kafkaJars = join(homedir(), ".cache", "mayfly", `kafka-${version}`);

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>mayfly</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency></dependencies>
</project>
`;

/** The reason why Kafka can't be brought, or undefined: it is there. */
export function bringKafka() {
  if (existsSync(kafkaJars)) return undefined;
  for (const program of ["java", "mvn"])
    if (spawnSync(program, ["-version"], { stdio: "ignore" }).status !== 0) return `no ${program} here`;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-kafka-"));
  try {
    writeFileSync(join(folder, "pom.xml"), pom);
    console.error(`mayfly: fetching Apache Kafka ${version} from Maven Central (43 MB)`);
    const goal = ["-q", "-B", "dependency:copy-dependencies", `-DoutputDirectory=${join(folder, "jars")}`];
    const { status, stdout } = spawnSync("mvn", goal, { cwd: folder, encoding: "utf8", timeout: 600_000 });
    if (status !== 0) return `Maven can't fetch it: ${(stdout ?? "").trim().split("\n").at(0)}`;
    mkdirSync(dirname(kafkaJars), { recursive: true });
    const ready = `${kafkaJars}.${process.pid}`;
    spawnSync("cp", ["-r", join(folder, "jars"), ready]); // the temporary folder may be on another disk
    renameSync(ready, kafkaJars);
    return undefined;
  } catch (error) {
    return existsSync(kafkaJars) ? undefined : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
