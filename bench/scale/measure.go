//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swampline/live/internal/record"
)

// costs are what things cost on one node, in processor time; follow is the time of the goroutine that follows the log.
// Decode is a part of entry.
type costs struct{ entry, decode, follow, delivery, write time.Duration }

// costs measures each cost some times and takes the median.
func (n *node) costs() (c costs, err error) {
	const times = 5
	var entry, follow, delivery []time.Duration
	for range times {
		used, took, _, err := n.rush(n.nobodys)
		if err != nil {
			return c, err
		}
		entry, follow = append(entry, used/time.Duration(*entries)), append(follow, took/time.Duration(*entries))
	}
	c.entry, c.follow = median(entry), median(follow)
	if c.decode, err = n.decoding(); err != nil {
		return c, err
	}
	for range times {
		used, _, deliveries, err := n.rush(n.any)
		if err != nil {
			return c, err
		}
		delivery = append(delivery, (used-c.entry*time.Duration(*entries))/time.Duration(deliveries))
	}
	c.delivery = median(delivery)
	return c, nil
}

// decoding measures what it costs to decode an entry.
func (n *node) decoding() (time.Duration, error) {
	data, _, err := n.produce(10_000, n.any)
	if err != nil {
		return 0, err
	}
	runtime.GC()
	before := cpu()
	for _, d := range data {
		if _, err := record.Decode(d); err != nil {
			return 0, err
		}
	}
	return ((cpu() - before) / time.Duration(len(data))).Round(10 * time.Nanosecond), nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2].Round(10 * time.Nanosecond)
}

// rush appends entries as fast as it can and waits until they are handled.
func (n *node) rush(list func() int64) (used, took time.Duration, deliveries int, err error) {
	data, deliveries, err := n.produce(*entries, list)
	if err != nil {
		return 0, 0, 0, err
	}
	n.sink.delivered.Store(0)
	runtime.GC()
	began, before := time.Now(), cpu()
	for _, d := range data {
		if _, err := n.log.Append(context.Background(), d); err != nil {
			return 0, 0, 0, err
		}
	}
	err = n.handled(deliveries)
	return cpu() - before, time.Since(began), deliveries, err
}

// load keeps up a rate, and returns a line of the table. Entries are appended when they are due, however late the node is.
func (n *node) load(rate int) (string, error) {
	first := n.written
	data, deliveries, err := n.produce(int(*seconds*float64(rate)), n.any)
	if err != nil {
		return "", err
	}
	runtime.GC()
	due := make([]time.Time, len(data))
	start := time.Now().Add(10 * time.Millisecond)
	for i := range due {
		due[i] = start.Add(time.Duration(i) * time.Second / time.Duration(rate))
	}
	n.sink.delivered.Store(0)
	n.sink.delays = histogram{}
	n.sink.first, n.sink.due = first, due
	var late histogram // how late Append was called: no part of the hub, but of this process
	before := cpu()
	for i, d := range data {
		if wait := time.Until(due[i]); wait > 0 {
			time.Sleep(wait)
		}
		late.add(time.Since(due[i]))
		if _, err := n.log.Append(context.Background(), d); err != nil {
			return "", err
		}
	}
	err = n.handled(deliveries)
	took, used := time.Since(start), cpu()-before
	h := &n.sink.delays
	n.sink.due = nil
	note := ""
	if took.Seconds() > *seconds*1.05 {
		note = fmt.Sprintf("; it fell behind: %.0f/s", float64(len(data))/took.Seconds())
	}
	return fmt.Sprintf("| %d | %.0f | %.2f | %s / %s / %s%s | %s / %s / %s |", rate, float64(deliveries) / *seconds, used.Seconds()/took.Seconds(),
		millis(h.at(0.5)), millis(h.at(0.99)), millis(h.at(0.999)), note,
		millis(late.at(0.5)), millis(late.at(0.99)), millis(late.at(0.999))), err
}

func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2g", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f", float64(d)/1e6)
}

// histogram counts durations in steps of a sixteenth of a power of two. Its methods but at may be called at once.
type histogram struct{ counts [64 * 16]atomic.Int64 }

func (h *histogram) add(d time.Duration) {
	v, exponent := max(uint64(d), 16), 0
	for ; v >= 32; v >>= 1 {
		exponent++
	}
	h.counts[exponent*16+int(v-16)].Add(1)
}

// at returns a quantile.
func (h *histogram) at(q float64) time.Duration {
	var all, sum int64
	for i := range h.counts {
		all += h.counts[i].Load()
	}
	for i := range h.counts {
		if sum += h.counts[i].Load(); sum > 0 && float64(sum) >= q*float64(all) {
			return time.Duration((16 + i%16) << (i / 16))
		}
	}
	return 0
}

// writeCost measures what it costs to write a change to one of many TCP connections, each in its turn, with a reader at the other end of each.
func writeCost() (time.Duration, error) {
	const connections, writes = 1_000, 100_000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	var conns []net.Conn
	var reading sync.WaitGroup
	for range connections {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return 0, err
		}
		other, err := l.Accept()
		if err != nil {
			return 0, err
		}
		conns = append(conns, c)
		reading.Go(func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{other}, make([]byte, 1024))
			other.Close()
		})
	}
	data := make([]byte, 300)
	before := cpu()
	for i := range writes {
		if _, e := conns[i%connections].Write(data); e != nil {
			err = errors.Join(err, e)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	reading.Wait()
	return ((cpu() - before) / writes).Round(10 * time.Nanosecond), err
}
