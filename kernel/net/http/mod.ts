/** HTTP/1.1 over streams.ts: a server (server.ts) and a client (client.ts). Knows no flow and no mayfly.yaml. */
export { beginAnswer, endAnswer, putLength, putLine, putLineOf } from "./answer";
export {
  bytesOfConnection, Connection, noAnswer, openConnections, outOf, refusedConnections, startConnections,
} from "./connection";
export {
  answerOf, broken, cancelClient, Client, clientDue, exchanges, malformed, newClient, noRoom, onAnswered, onAnswerHead, onFailed, startClient, tooBig, unreached,
} from "./client";
export { putIsoDate } from "./date";
export {
  beginClosing, closed, connectionDue, cut, ended, isClosing, listenForCallers, onAsked, onLeft, onNoRoom, onRepeated, onTooLong, onTooMany,
  onWhole, opened, received, writable,
} from "./server";
export { reasonOf } from "./status";
