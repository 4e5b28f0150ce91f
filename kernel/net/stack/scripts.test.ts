/** TCP segment by segment: what RFC 9293, 5681, 5961, 6298 and 6582 say, as scripts (testing/script.ts). */
import { test } from "node:test";
import { Script } from "../testing/script.ts";

/** A connection whose peer takes segments of 1,000 bytes. */
const open = `
  < S 0:0 mss 1000 sack
  > SA 0:0 ack 1
  < A 1:1 ack 1
  events opened
`;
const openScaled = open.replace("sack", "sack ws 7").replace("ack 1\n  events", "ack 1 win 500\n  events");

const scripts: Readonly<Record<string, string>> = {
  "an acknowledgement is delayed by 40 ms, and a second segment does not wait": `${open}
    < PA 1:101 ack 1
    events 100
    +40 > A 1:1 ack 101
    < A 101:1101 ack 1
    < A 1101:2101 ack 1
    > A 1:1 ack 2101`,
  "an answer takes the acknowledgement along": `${open}
    < PA 1:101 ack 1
    send 50
    > PA 1:51 ack 101
    < A 101:101 ack 51
    +60000`,
  "what is not pushed waits for a whole segment": `${open}
    write 400
    none
    write 800
    > A 1:1001
    none
    push
    > PA 1001:1201`,
  "a lost answer to a SYN is repeated after 1, 2 and 4 seconds, then the handshake is forgotten": `
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    +1000 > SA 0:0 ack 1
    +2000 > SA 0:0 ack 1
    +4000 > SA 0:0 ack 1
    +60000
    free
    < A 1:1 ack 1
    > R 1:1`,
  "a repeated SYN gets the same answer, one with another number begins anew": `
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    < S 50:50 mss 1000
    > SA 0:0 ack 51
    < A 51:51 ack 1
    events opened`,
  "bytes complete a handshake whose acknowledgement was lost, also behind a gap": `
    < S 0:0 mss 1000 sack
    > SA 0:0 ack 1
    < PA 101:201 ack 1
    events opened
    > A 1:1 ack 1 sack 101-201
    < PA 1:101 ack 1
    events 100,100
    > A 1:1 ack 201`,
  "an acknowledgement that completes nothing is answered by a reset, and harms nothing": `
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    < A 1:1 ack 7
    > R 7:7
    < A 1:1 ack 1
    events opened`,
  "a reset ends a handshake": `
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    < R 1:1
    free`,
  "a port that nobody listens on: reset": `
    < S 0:0 to 81
    > RA 0:0 ack 1
    < A 5:105 ack 9 to 81
    > R 9:9
    < FA 5:5 ack 9 to 81
    > R 9:9
    < R 5:5 to 81
    < RA 5:5 ack 9 to 81
    none`,
  "segments of senseless flags": `
    < F 5:5
    > RA 0:0 ack 6
    < FP 5:5
    > RA 0:0 ack 6
    < - 5:5
    > RA 0:0 ack 5
    < SR 5:5
    < SFRPA 5:5
    none
    < SF 0:0
    > SA 0:0 ack 1`,
  "no MSS named: 536; a silly one: 64": `
    < S 0:0
    > SA 0:0 ack 1
    < A 1:1 ack 1
    send 600
    > A 1:537
    > PA 537:601
    abort
    > RA 601:601
    < S 9000:9000 mss 1 from 5001
    > SA 0:0
    < A 9001:9001 ack 1 from 5001
    write 64
    > PA 1:65`,
  "a reset counts only with the very next number; others in the window are challenged, outside dropped": `${open}
    < R 2:2
    > A 1:1 ack 1
    < R 100000:100000
    < R 0:0
    none
    events
    < R 1:1
    events closed:1
    free`,
  "a SYN in an open connection is challenged, not more often than every 100 ms": `${open}
    < S 5000:5000
    > A 1:1 ack 1
    < S 5000:5000
    < S 1:1
    none
    +100
    < S 5000:5000
    > A 1:1 ack 1
    < R 1:1
    events closed:1
    < S 5000:5000 mss 1000
    > SA 0:0 ack 5001`,
  "acknowledgements of what was never sent are challenged, and their bytes not taken": `${open}
    < PA 1:101 ack 70000
    > A 1:1 ack 1
    < PA 1:101 ack -200000
    none
    +110
    < PA 1:101 ack -200000
    > A 1:1 ack 1
    events`,
  "bytes outside the window are answered and not taken": `${open}
    < PA 90000:90100 ack 1
    > A 1:1 ack 1
    < PA -90000:-89900 ack 1
    > A 1:1 ack 1
    events`,
  "bytes that overlap what is here are taken once": `${open}
    < PA 1:101 ack 1
    events 100
    +40 > A 1:1 ack 101
    < PA 51:151 ack 1
    events 50
    > A 1:1 ack 151
    < PA 1:101 ack 1
    > A 1:1 ack 151
    events`,
  "without an acknowledgement bytes are sent again, at doubled intervals": `${open}
    send 100
    > PA 1:101
    +1000 > PA 1:101
    +2000 > PA 1:101
    +4000 > PA 1:101
    < A 1:1 ack 101
    +30000`,
  "after a round trip was measured the timeout is 200 ms at least": `${open}
    send 100
    > PA 1:101
    +10
    < A 1:1 ack 101
    send 100
    > PA 101:201
    +200 > PA 101:201
    +400 > PA 101:201`,
  "a silent peer is given up after 100 seconds, with a reset": `${open}
    send 10
    > PA 1:11
    +1000 > PA 1:11
    +2000 > PA 1:11
    +4000 > PA 1:11
    +8000 > PA 1:11
    +16000 > PA 1:11
    +32000 > PA 1:11
    +60000 > RA 11:11
    events closed:2
    free`,
  "three duplicate acknowledgements: fast retransmit; two before let new bytes go (limited transmit)": `${open}
    write 12000
    > A 1:1001
    > A 1001:2001
    > A 2001:3001
    > A 3001:4001
    > A 4001:5001
    > A 5001:6001
    > A 6001:7001
    > A 7001:8001
    > A 8001:9001
    > A 9001:10001
    none
    < A 1:1 ack 1
    > A 10001:11001
    < A 1:1 ack 1
    > PA 11001:12001
    < A 1:1 ack 1
    > A 1:1001
    none
    < A 1:1 ack 12001
    +10000`,
  "a partial acknowledgement in recovery sends the next hole at once (NewReno)": `${open}
    write 8000
    > A 1:1001
    > A 1001:2001
    > A 2001:3001
    > A 3001:4001
    > A 4001:5001
    > A 5001:6001
    > A 6001:7001
    > PA 7001:8001
    < A 1:1 ack 1
    < A 1:1 ack 1
    < A 1:1 ack 1
    > A 1:1001
    < A 1:1 ack 3001
    > A 3001:4001
    < A 1:1 ack 8001
    +10000`,
  "segments that are no duplicates: with bytes, with another window": `${open}
    send 100
    > PA 1:101
    < PA 1:11 ack 1
    < PA 11:21 ack 1
    < PA 21:31 ack 1
    < PA 31:41 ack 1
    < A 41:41 ack 1 win 5000
    < A 41:41 ack 1 win 6000
    < A 41:41 ack 1 win 7000
    < A 41:41 ack 1 win 8000
    events 10,10,10,10
    +40 > A 101:101 ack 41`,
  "a closed window is probed with one byte, at doubled intervals, until it opens": `${open}
    < A 1:1 ack 1 win 0
    send 100
    none
    +1000 > A 1:2
    < A 1:1 ack 1 win 0
    +2000 > A 1:2
    < A 1:1 ack 1 win 0
    +4000 > A 1:2
    < A 1:1 ack 1 win 500
    > PA 1:101
    < A 1:1 ack 101
    +60000`,
  "a peer that answers probes but takes nothing is given up after five minutes": `${open}
    < A 1:1 ack 1 win 0
    send 100
    +1000 > A 1:2
    < A 1:1 ack 1 win 0
    +2000 > A 1:2
    < A 1:1 ack 1 win 0
    +4000 > A 1:2
    < A 1:1 ack 1 win 0
    +8000 > A 1:2
    < A 1:1 ack 1 win 0
    +16000 > A 1:2
    < A 1:1 ack 1 win 0
    +32000 > A 1:2
    < A 1:1 ack 1 win 0
    +60000 > A 1:2
    < A 1:1 ack 1 win 0
    +60000 > A 1:2
    < A 1:1 ack 1 win 0
    +60000 > A 1:2
    < A 1:1 ack 1 win 0
    +60000 > RA 2:2
    events closed:2
    free`,
  "a window that comes with new acknowledgements counts, though the peer has gone back to lower numbers": `${open}
    send 100
    > PA 1:101
    < A 1001:1101 ack 1 win 700
    > A 101:101 ack 1 sack 1001-1101
    < A 1:1 ack 101 win 50
    send 100
    none`,
  "small windows: no silly segments before half of the largest window, unless time is up": `${open}
    < A 1:1 ack 1 win 300
    write 2000
    none
    +1000 > A 1:301
    < A 1:1 ack 301 win 300
    +1000 > A 301:601`,
  "windows are scaled both ways": `${openScaled}
    write 9000
    > A 1:1001
    > A 1001:2001
    > A 2001:3001
    > A 3001:4001
    > A 4001:5001
    > A 5001:6001
    > A 6001:7001
    > A 7001:8001
    > PA 8001:9001
    < PA 1:101 ack 9001 win 500
    +40 > A 9001:9001 ack 101 win 15872`,
  "bytes ahead are kept and named, the latest first; a filled gap is acknowledged at once": `${open}
    < A 1001:2001 ack 1
    > A 1:1 ack 1 sack 1001-2001
    < A 3001:4001 ack 1
    > A 1:1 ack 1 sack 3001-4001,1001-2001
    < A 1501:2501 ack 1
    > A 1:1 ack 1 sack 1001-2501,3001-4001
    events
    < A 1:1001 ack 1
    > A 1:1 ack 2501 sack 3001-4001
    events 1000,1048,452
    < A 2501:3001 ack 1
    > A 1:1 ack 4001
    events 500,1000`,
  "more pieces than four are not kept": `${open}
    < A 1001:1002 ack 1
    > A 1:1 sack 1001-1002
    < A 1003:1004 ack 1
    > A 1:1 sack 1003-1004,1001-1002
    < A 1005:1006 ack 1
    > A 1:1 sack 1005-1006,1003-1004,1001-1002
    < A 1007:1008 ack 1
    > A 1:1 sack 1007-1008,1005-1006,1003-1004,1001-1002
    < A 1009:1010 ack 1
    > A 1:1 sack 1007-1008,1005-1006,1003-1004,1001-1002
    < A 1002:1003 ack 1
    > A 1:1 sack 1001-1004,1007-1008,1005-1006
    < R 1:1
    free`,
  "the peer finishes first": `${open}
    < FPA 1:101 ack 1
    > A 1:1 ack 102
    events 100,ended
    send 50
    > PA 1:51 ack 102
    < A 102:102 ack 51
    finish
    > FPA 51:51 ack 102
    events
    < A 102:102 ack 52
    events closed:0
    free`,
  "this side finishes first: TIME-WAIT for a minute, from the peer's last FIN": `${open}
    finish
    > FPA 1:1 ack 1
    < A 1:1 ack 2
    none
    < PA 1:101 ack 2
    events 100
    +40 > A 2:2 ack 101
    < FA 101:101 ack 2
    > A 2:2 ack 102
    events ended,closed:0
    +30000
    < FA 101:101 ack 2
    > A 2:2 ack 102
    +59000
    < A 102:102 ack 2
    +2000
    free`,
  "in TIME-WAIT a SYN with a higher number begins a connection, one with a lower does not": `${open}
    finish
    > FPA 1:1
    < FA 1:1 ack 2
    > A 2:2 ack 2
    events ended,closed:0
    < S 1:1 mss 1000
    > A 2:2 ack 2
    < S 500:500 mss 1000
    > SA 0:0 ack 501
    < A 501:501 ack 1
    events opened`,
  "both finish at once": `${open}
    finish
    > FPA 1:1 ack 1
    < FA 1:1 ack 1
    > A 2:2 ack 2
    events ended
    < A 2:2 ack 2
    events closed:0
    +61000
    free`,
  "a FIN is sent again until it is acknowledged": `${open}
    send 10
    finish
    > PA 1:11
    > FPA 11:11
    < A 1:1 ack 11
    +200 > FPA 11:11
    +400 > FPA 11:11
    < A 1:1 ack 12
    +60000`,
  "a FIN behind a gap waits for its turn": `${open}
    < FPA 101:201 ack 1
    > A 1:1 ack 1 sack 101-201
    events
    < A 1:101 ack 1
    > A 1:1 ack 202
    events 100,100,ended`,
  "bytes for an end that was aborted are answered by a reset": `${open}
    abort
    > RA 1:1 ack 1
    free
    < PA 1:101 ack 1
    > R 1:1
    events`,
  "what the user does not take makes the window smaller, and is offered again, block by block": `${open}
    hold
    < A 1:1461 ack 1
    < A 1461:2921 ack 1
    > A 1:1 ack 2921 win 60568
    < A 2921:2931 ack 1
    events
    release
    events 2048,882
    +40 > A 1:1 ack 2931 win 63488`,
  "an end behind bytes that wait is told after them": `${open}
    hold
    < FPA 1:101 ack 1
    > A 1:1 ack 102
    events
    finish
    > FPA 1:1 ack 102
    < A 102:102 ack 2
    events
    release
    events 100,ended,closed:0
    free`,
  "a reset after both ends takes no bytes from the user, who still has to take them; nor is the peer told of room then": `${open}
    finish
    > FPA 1:1 ack 1
    hold
    < FPA 1:1461 ack 2
    > A 2:2 ack 1462
    < R 1462:1462
    events
    release
    events 1460,ended,closed:0
    none`,
  "a quiet connection is probed after 75 seconds, and given up when four probes stay without an answer": `${open}
    +75000 > A 0:0 ack 1
    < A 1:1 ack 1
    +75000 > A 0:0 ack 1
    +15000 > A 0:0 ack 1
    +15000 > A 0:0 ack 1
    +15000 > A 0:0 ack 1
    +15000 > RA 1:1
    events closed:2
    free`,
  "a peer's keep-alive is answered": `${open}
    < A 0:0 ack 1
    > A 1:1 ack 1
    +1000
    < A 0:1 ack 1
    > A 1:1 ack 1
    events`,
  "a connection from this side": `
    connect
    > S 0:0
    < SA 0:0 ack 1 mss 1000 sack ws 2
    > A 1:1 ack 1
    events connected
    send 10
    > PA 1:11 ack 1
    < FPA 1:11 ack 11
    > A 11:11 ack 12
    events 10,ended
    finish
    > FPA 11:11 ack 12
    < A 12:12 ack 12
    events closed:0
    free`,
  "a connection from this side that is refused, and one that nobody answers": `
    connect
    > S 0:0
    < R 0:0
    < RA 0:0 ack 5
    none
    events
    < RA 0:0 ack 1
    events closed:3
    free
    connect
    > S 0:0
    +1000 > S 0:0
    +2000 > S 0:0
    +4000 > S 0:0
    +8000 > S 0:0
    +16000 > S 0:0
    +33000
    events closed:2
    free`,
  "a SYN is answered by an acknowledgement of another connection: reset, and again": `
    connect
    > S 0:0
    < A 7:7 ack 77
    > R 77:77
    < SA 0:0 ack 99
    > R 99:99
    +1000 > S 0:0
    < SA 0:0 ack 1
    > A 1:1 ack 1
    events connected`,
  "both open at once": `
    connect
    > S 0:0
    < S 0:0 mss 1000
    > SA 0:0 ack 1
    < SA 0:0 ack 1 mss 1000
    events connected
    send 10
    > PA 1:11 ack 1`,
  "what was written and finished before the handshake goes with it": `
    connect
    > S 0:0
    send 10
    finish
    none
    < SA 0:0 ack 1 mss 1000
    > FPA 1:11 ack 1
    events connected
    < FA 1:1 ack 12
    > A 12:12 ack 2
    events ended,closed:0`,
  "ICMP: no route ends a connection that is being opened, and no other": `
    connect
    > S 0:0
    icmp 3 1
    events closed:4
    free`,
  "ICMP is not believed about segments that are not under way": `${open}
    icmp 3 3
    icmp 3 4 600
    events
    send 1000
    > PA 1:1001`,
};

for (const [name, script] of Object.entries(scripts)) test(name, () => new Script().run(script));
