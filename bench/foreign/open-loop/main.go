// An open loop: requests are due at a fixed rate, whatever the answers do, and a latency is counted from when its request was due
// (so a server that stalls is charged for all the requests that were due meanwhile). Prints one line of JSON.
//
//	open-loop ADDRESS PATH RATE SECONDS CONNECTIONS < body
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Share of the run, at its beginning, that is not counted.
const warmUp = 0.25

type result struct {
	Sent   int     `json:"sent"`
	Failed int     `json:"failed"`
	P50    float64 `json:"p50Ms"`
	P99    float64 `json:"p99Ms"`
	P999   float64 `json:"p999Ms"`
	Max    float64 `json:"maxMs"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "open-loop:", err)
		os.Exit(1)
	}
}

// Reads one response with a Content-Length or chunks; true for a status of 2xx.
func readResponse(reader *bufio.Reader) (bool, error) {
	status, err := reader.ReadString('\n')
	if err != nil {
		return false, err
	}
	length, chunked := int64(0), false
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return false, err
		}
		line = strings.ToLower(strings.TrimSpace(line))
		if line == "" {
			break
		}
		if value, found := strings.CutPrefix(line, "content-length:"); found {
			length, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
		chunked = chunked || line == "transfer-encoding: chunked"
	}
	for more := true; more; more = chunked && length > 0 {
		if chunked {
			line, err := reader.ReadString('\n')
			if err != nil {
				return false, err
			}
			size, _ := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
			length = size + 2
		}
		if _, err := io.CopyN(io.Discard, reader, length); err != nil {
			return false, err
		}
		if chunked && length == 2 {
			break
		}
	}
	return strings.Contains(status, " 2"), nil
}

func sleepUntil(due time.Time) {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		wait := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&wait, nil)
	}
}

func main() {
	address, path := os.Args[1], os.Args[2]
	rate, err := strconv.ParseFloat(os.Args[3], 64)
	must(err)
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	must(err)
	connections, err := strconv.Atoi(os.Args[5])
	must(err)
	body, err := io.ReadAll(os.Stdin)
	must(err)
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, address, len(body))
	request.Write(body)

	count := int(rate * seconds)
	latencies := make([]float64, count)
	type turn struct {
		number int
		due    time.Time
	}
	turns := make(chan turn, count)
	var workers sync.WaitGroup
	failed := make([]int, connections)
	for connection := 0; connection < connections; connection++ {
		workers.Add(1)
		conn, err := net.Dial("tcp", address)
		must(err)
		go func() {
			defer workers.Done()
			reader := bufio.NewReader(conn)
			for each := range turns {
				_, err := conn.Write(request.Bytes())
				must(err)
				ok, err := readResponse(reader)
				must(err)
				if !ok {
					failed[connection]++
				}
				latencies[each.number] = float64(time.Since(each.due).Microseconds()) / 1000
			}
		}()
	}
	runtime.LockOSThread() // nanosleep is finer than the runtime's timers
	start := time.Now()
	for number := 0; number < count; number++ {
		due := start.Add(time.Duration(float64(number) / rate * float64(time.Second)))
		sleepUntil(due)
		turns <- turn{number, due}
	}
	close(turns)
	workers.Wait()
	counted := latencies[int(warmUp*float64(count)):]
	sort.Float64s(counted)
	at := func(share float64) float64 { return counted[min(len(counted)-1, int(share*float64(len(counted))))] }
	answer := result{Sent: count, P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: counted[len(counted)-1]}
	for _, each := range failed {
		answer.Failed += each
	}
	must(json.NewEncoder(os.Stdout).Encode(answer))
}
