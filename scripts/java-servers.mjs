// Servers for tests that come from Maven Central: their jars in a folder of the user's cache, fetched once.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

const cached = (name) => join(homedir(), ".cache", "mayfly", name);

/** By name: connectors/testing/kafka-server.ts and artemis-server.ts look in `jars`. */
export const javaServers = {
  kafka: {
    title: "Apache Kafka 4.1.0",
    jars: cached("kafka-4.1.0"),
    megabytes: 43,
    artifacts: ["org.apache.kafka:kafka_2.13:4.1.0"],
    tests: "kafka, chaos",
  },
  artemis: {
    title: "ActiveMQ Artemis 2.40.0",
    jars: cached("artemis-2.40.0"),
    megabytes: 17,
    artifacts: ["org.apache.activemq:artemis-server:2.40.0", "org.apache.activemq:artemis-amqp-protocol:2.40.0"],
    tests: "amqp1",
  },
};

function dependency(artifact) {
  const [group, name, version] = artifact.split(":");
  return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
}

const pomOf = (artifacts) => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>mayfly</groupId><artifactId>for-tests</artifactId><version>1</version>
  <dependencies>${artifacts.map(dependency).join("")}</dependencies>
</project>
`;

/** The reason why it can't be brought, or undefined: it is there. */
export function bringJavaServer({ title, jars, megabytes, artifacts }) {
  if (existsSync(jars)) return undefined;
  for (const program of ["java", "mvn"])
    if (spawnSync(program, ["-version"], { stdio: "ignore" }).status !== 0) return `no ${program} here`;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-jars-"));
  try {
    writeFileSync(join(folder, "pom.xml"), pomOf(artifacts));
    console.error(`mayfly: fetching ${title} from Maven Central (${megabytes} MB)`);
    const goal = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${join(folder, "jars")}`];
    const { status, stdout } = spawnSync("mvn", goal, { cwd: folder, encoding: "utf8", timeout: 600_000 });
    if (status !== 0) return `Maven can't fetch it: ${(stdout ?? "").trim().split("\n").at(0)}`;
    mkdirSync(dirname(jars), { recursive: true });
    const ready = `${jars}.${process.pid}`;
    spawnSync("cp", ["-r", join(folder, "jars"), ready]); // the temporary folder may be on another disk
    renameSync(ready, jars);
    return undefined;
  } catch (error) {
    return existsSync(jars) ? undefined : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
