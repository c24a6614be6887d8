package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Measurement is what a measured program says about itself; the same fields as that of the C++ programs.
type Measurement struct {
	kind        string
	target      int64
	latencySkip int64
	started     uint32
	events      int64
	firstUs     int64
	cpuFirst    float64
	lastUs      int64
	cpuLast     float64

	mutex        sync.Mutex
	transactions int64
	latencies    []uint32 // how many, by latencyStepUs: memory must not grow with the backlog
}

// Latencies are counted in steps; the last count holds everything above.
const (
	latencyStepUs = 10
	latencySteps  = 100001
)

// NewMeasurement of a run that ends after `events` deliveries.
func NewMeasurement(kind string, o Options) *Measurement {
	return &Measurement{
		kind: kind, target: o.Events, latencySkip: int64(o.LatencySkip), latencies: make([]uint32, latencySteps),
	}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	Must(syscall.Getrusage(syscall.RUSAGE_SELF, &u), "reading CPU time")
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func peakRssMib() float64 {
	status, err := os.ReadFile("/proc/self/status")
	Must(err, "reading the peak memory")
	var kib float64
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			_, err = fmt.Sscanf(line, "VmHWM: %f", &kib)
			Must(err, "reading the peak memory")
		}
	}
	return kib / 1024
}

// Fetched starts the clock with its first call.
func (m *Measurement) Fetched() {
	if atomic.LoadUint32(&m.started) == 1 || !atomic.CompareAndSwapUint32(&m.started, 0, 1) {
		return
	}
	m.firstUs = time.Now().UnixMicro()
	m.cpuFirst = cpuSeconds()
}

// Committed counts the deliveries of one transaction that has just committed.
func (m *Measurement) Committed(publishedUs ...int64) {
	now := time.Now().UnixMicro()
	events := atomic.AddInt64(&m.events, int64(len(publishedUs)))
	if events == m.target {
		m.lastUs, m.cpuLast = now, cpuSeconds()
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.transactions++
	if events-int64(len(publishedUs)) < m.latencySkip {
		return
	}
	for _, published := range publishedUs {
		step := (now - published) / latencyStepUs
		if step < 0 {
			step = 0
		} else if step >= latencySteps {
			step = latencySteps - 1
		}
		m.latencies[step]++
	}
}

// Print writes the JSON line, when every goroutine has ended.
func (m *Measurement) Print() {
	var measured uint64
	for _, count := range m.latencies {
		measured += uint64(count)
	}
	quantile := func(q float64) float64 {
		wanted, seen, step := uint64(q*float64(measured)), uint64(0), 0
		for step+1 < len(m.latencies) && seen+uint64(m.latencies[step]) <= wanted {
			seen += uint64(m.latencies[step])
			step++
		}
		return float64(step*latencyStepUs) / 1e3
	}
	seconds := float64(m.lastUs-m.firstUs) / 1e6
	line := map[string]interface{}{
		"kind": m.kind, "events": m.events, "transactions": m.transactions, "seconds": seconds,
		"rate": float64(m.events) / seconds, "cpu_s": m.cpuLast - m.cpuFirst, "rss_mib": peakRssMib(),
		"first_us": m.firstUs, "last_us": m.lastUs,
	}
	if measured > 0 {
		line["latency_ms"] = map[string]float64{"p50": quantile(0.50), "p99": quantile(0.99)}
	}
	Must(json.NewEncoder(os.Stdout).Encode(line), "printing")
}
