package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// process is a server, from its outside.
type process struct{ clients, control string }

// start runs a server until stop is called.
func start(kind string) (p process, stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return p, nil, err
	}
	cmd := exec.Command(program, "-serve", kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return p, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, nil, err
	}
	if err := cmd.Start(); err != nil {
		return p, nil, err
	}
	stop = func() { in.Close(); _ = cmd.Wait() }
	if _, err := fmt.Fscan(out, &p.clients, &p.control); err != nil {
		stop()
		return p, nil, fmt.Errorf("the server did not start: %w", err)
	}
	return p, stop, nil
}

// ask returns the body of an answer of the server's other address.
func (p process) ask(path string) ([]byte, error) {
	answer, err := http.Get("http://" + p.control + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}
	return body, err
}

func (p process) state() (s state, err error) {
	text, err := p.ask("/state")
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// parked waits until so many polls wait.
func (p process) parked(n int) error {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		text, err := p.ask("/waiting")
		if err != nil || string(text) == strconv.Itoa(n) {
			return err
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%s of %d polls wait", text, n)
		}
	}
}

// poll is one client, which asks again as soon as it is answered.
type poll struct {
	c      net.Conn
	r      *bufio.Reader
	tag    string
	cursor string
	took   time.Duration
}

func (p *poll) ask() error {
	body := fmt.Appendf(nil, `{"type":"subscribe","id":1,"router":"rows","where":{"list":7},"cursor":"%s","tag":"%s"}`, p.cursor, p.tag)
	request := fmt.Appendf(nil, "POST /live/?wait=60 HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
		"Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: identity\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_, err := p.c.Write(request)
	return err
}

// answer reads an answer; its cursor is the last in it.
func (p *poll) answer() error {
	_, body, err := read(p.r)
	if err != nil {
		return err
	}
	at := bytes.LastIndex(body, []byte(`"cursor":"`))
	if at < 0 || !bytes.Contains(body, []byte(`"change"`)) {
		return fmt.Errorf("an answer without a change: %s", body)
	}
	cursor, _, _ := bytes.Cut(body[at+len(`"cursor":"`):], []byte(`"`))
	p.cursor = string(cursor)
	return nil
}

// read reads an answer with a length, or one without a body.
func read(r *bufio.Reader) (header, body []byte, err error) {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
				return nil, nil, err
			}
		}
		header = append(header, line...)
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return header, body, err
}

// measure runs a server and measures it.
func measure(kind string) (f figures, err error) {
	p, stop, err := start(kind)
	if err != nil {
		return f, err
	}
	defer stop()
	first, err := p.list()
	if err != nil {
		return f, err
	}
	if _, err := p.ask("/collect"); err != nil {
		return f, err
	}
	empty, err := p.state()
	if err != nil {
		return f, err
	}
	polls := make([]*poll, *clients)
	for i := range polls {
		c, err := net.Dial("tcp", p.clients)
		if err != nil {
			return f, err
		}
		defer c.Close()
		polls[i] = &poll{c: c, r: bufio.NewReaderSize(c, 2048), cursor: first.Cursor, tag: first.Tag}
		if err := polls[i].ask(); err != nil {
			return f, err
		}
	}
	if err := p.parked(*clients); err != nil {
		return f, err
	}
	if _, err := p.ask("/collect"); err != nil {
		return f, err
	}
	full, err := p.state()
	if err != nil {
		return f, err
	}
	if *heap != "" {
		if _, err := p.ask("/heap?file=" + url.QueryEscape(*heap)); err != nil {
			return f, err
		}
	}
	each := func(now, before uint64) float64 { return (float64(now) - float64(before)) / float64(*clients) }
	f.Heap, f.Resident = each(full.Heap, empty.Heap), each(full.Resident, empty.Resident)
	f.Stack, f.Objects = each(full.Stack, empty.Stack), each(full.Objects, empty.Objects)
	f.Goroutines = float64(full.Goroutines-empty.Goroutines) / float64(*clients)
	return f, p.wake(polls, full, &f)
}

// list asks for the list, as a client does that begins.
func (p process) list() (first struct{ Cursor, Tag string }, err error) {
	answer, err := http.Get("http://" + p.clients + "/live/rows?list=7")
	if err != nil {
		return first, err
	}
	defer answer.Body.Close()
	return first, json.NewDecoder(answer.Body).Decode(&first)
}

// woken is what happened after one change.
type woken struct{ first, median, last, again, longest time.Duration }

// wake publishes changes, each when all wait again for the next one.
func (p process) wake(polls []*poll, before state, f *figures) error {
	if *profile != "" {
		if _, err := p.ask("/profile?file=" + url.QueryEscape(*profile)); err != nil {
			return err
		}
	}
	var all []woken
	var peak uint64
	for range *changes {
		start, err := p.state()
		if err != nil {
			return err
		}
		w, err := p.wakeOnce(polls)
		if err != nil {
			return err
		}
		end, err := p.state()
		if err != nil {
			return err
		}
		n := float64(*clients * *changes)
		f.CPU += float64((end.CPU - start.CPU).Nanoseconds()) / 1000 / n
		f.Allocs += float64(end.Mallocs-start.Mallocs) / n
		f.Bytes += float64(end.Allocated-start.Allocated) / n
		peak = max(peak, end.Peak-min(end.Peak, before.Heap))
		all = append(all, w)
	}
	if *profile != "" {
		if _, err := p.ask("/profiled"); err != nil {
			return err
		}
	}
	ms := func(of func(woken) time.Duration) float64 {
		return median(all, func(w woken) float64 { return float64(of(w).Microseconds()) / 1000 })
	}
	f.First, f.Median, f.Last = ms(func(w woken) time.Duration { return w.first }), ms(func(w woken) time.Duration { return w.median }), ms(func(w woken) time.Duration { return w.last })
	f.Again, f.Bystander = ms(func(w woken) time.Duration { return w.again }), ms(func(w woken) time.Duration { return w.longest })
	f.Peak = float64(peak) / float64(*clients)
	end, err := p.state()
	if err == nil && end.Lists > 1+*changes { // of the bystander, whose list has changed
		err = fmt.Errorf("the database was asked for %d lists", end.Lists)
	}
	return err
}

// wakeOnce publishes one change and waits until all are answered and wait again.
func (p process) wakeOnce(polls []*poll) (w woken, err error) {
	errs := make([]error, len(polls))
	over := make(chan struct{})
	var bystander, answered sync.WaitGroup
	var bystanderFailed error
	bystander.Go(func() { w.longest, bystanderFailed = p.stand(over) })
	var began atomic.Pointer[time.Time]
	for i, c := range polls {
		answered.Go(func() {
			if errs[i] = c.answer(); errs[i] == nil {
				c.took = time.Since(*began.Load())
				errs[i] = c.ask()
			}
		})
	}
	now := time.Now()
	began.Store(&now)
	if _, err := p.ask("/change"); err != nil {
		return w, err
	}
	answered.Wait()
	if err := cmp.Or(errs...); err != nil {
		return w, err
	}
	err = p.parked(len(polls))
	w.again = time.Since(now)
	close(over)
	bystander.Wait()
	if _, settled := p.ask("/settled"); settled != nil {
		err = settled
	}
	took := make([]time.Duration, len(polls))
	for i, c := range polls {
		took[i] = c.took
	}
	slices.Sort(took)
	w.first, w.median, w.last = took[0], took[len(took)/2], took[len(took)-1]
	return w, cmp.Or(err, bystanderFailed)
}

// stand asks for a list that nothing happens to, again and again over a connection of its own, and returns the longest that it took.
func (p process) stand(over <-chan struct{}) (longest time.Duration, err error) {
	c, err := net.Dial("tcp", p.clients)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	etag := ""
	for {
		asked := time.Now()
		if _, err := io.WriteString(c, "GET /live/rows?list=8 HTTP/1.1\r\nHost: bench\r\n"+etag+"\r\n"); err != nil {
			return 0, err
		}
		header, _, err := read(r)
		if err != nil {
			return 0, err
		}
		if _, tag, ok := strings.Cut(string(header), "Etag: "); ok && etag == "" {
			tag, _, _ = strings.Cut(tag, "\r\n")
			etag = "If-None-Match: " + tag + "\r\n"
		} else {
			longest = max(longest, time.Since(asked))
		}
		select {
		case <-over:
			return longest, nil
		case <-time.After(time.Millisecond):
		}
	}
}
