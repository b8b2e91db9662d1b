package outlet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// lines is a transport that sends each frame as a line, and keeps what it reads.
type lines struct {
	out     Outlet
	session *script.Session

	mu    sync.Mutex
	said  bytes.Buffer
	wakes int
	err   error
	ended chan error
	over  chan error
	calls atomic.Int32 // of Ended
}

func (l *lines) Append(to []byte, frames []*transport.Frame) []byte {
	for _, f := range frames {
		to = append(append(to, f.Data...), '\n')
	}
	return to
}

func (l *lines) Around(f *transport.Frame) (before, data, behind []byte) {
	return nil, f.Data, []byte("\n")
}

func (l *lines) Last(frames []*transport.Frame) bool {
	for _, f := range frames {
		if f.Type == "last" {
			return true
		}
	}
	return false
}

func (l *lines) Arrived() {
	l.mu.Lock()
	l.wakes++
	l.mu.Unlock()
	p := make([]byte, 100)
	for {
		n, err := l.out.Read(p, true)
		l.mu.Lock()
		l.said.Write(p[:n])
		l.mu.Unlock()
		if err == ErrIdle {
			l.out.Watch()
			return
		}
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			l.out.Close()
			return
		}
	}
}

func (l *lines) Ended(err error) {
	l.calls.Add(1)
	l.session.Close()
	l.out.Close()
	l.ended <- err
}

// ways are connections of each kind, whose near end is the server's.
var ways = map[string]func(t testing.TB) (near, far net.Conn){
	"plain":   tcp,
	"wrapped": func(t testing.TB) (near, far net.Conn) { near, far = tcp(t); return struct{ net.Conn }{near}, far },
	"pipe":    func(testing.TB) (near, far net.Conn) { return net.Pipe() },
}

func tcp(t testing.TB) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if far, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// open serves a session on a connection.
func open(t testing.TB, near net.Conn, early string, s *script.Session) *lines {
	l := &lines{session: s, ended: make(chan error, 2), over: make(chan error, 2)}
	l.out.Open(near, []byte(early), l, "lines", s, 10*time.Second, func() func(error) { return func(failure error) { l.over <- failure } })
	t.Cleanup(l.out.Close)
	l.out.Drain()
	l.out.Go(l.Arrived)
	return l
}

// until waits for something that other goroutines bring about.
func until(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for start := time.Now(); !reached(); runtime.Gosched() {
		if time.Since(start) > time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func each(t *testing.T, test func(t *testing.T, near, far net.Conn)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			near, far := way(t)
			defer far.Close()
			test(t, near, far)
		})
	}
}

func frame(data string) *transport.Frame { return script.Frame("change", "", data) }

func (l *lines) goroutines() int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return int(l.out.running)
}

// rests reports whether nothing happens: no goroutine runs, or, where the system does not do that, one waits for something to read.
func (l *lines) rests() bool {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	if l.out.raw == nil || runtime.GOOS != "linux" {
		return l.out.running == 1 && l.out.waiting
	}
	return l.out.running == 0
}

func TestNothingWaitsForWhomNothingHappens(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		s := script.New()
		l := open(t, near, "", s)
		in := bufio.NewReader(far)
		for i := range 3 {
			until(t, "parked", func() bool { return s.Parked() && l.rests() })
			if l.out.lent != nil || l.out.busy != nil {
				t.Error("a buffer, or what is for who does something, is kept")
			}
			s.Push(frame(fmt.Sprint(i)))
			if got, _ := in.ReadString('\n'); got != fmt.Sprintln(i) {
				t.Errorf("read %q", got)
			}
			io.WriteString(far, "hello")
			until(t, "read", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.said.Len() == 5*(i+1) })
		}
		if taken, left := s.Offered(); left > 0 && l.out.raw != nil {
			t.Errorf("%d taken at once, %d not", taken, left)
		}
	})
}

// Whatever is pushed, sent and read at the same time: messages stay whole and in order, and all of them arrive.
func TestEverythingArrivesInOrder(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		const frames = 500
		seed := uint64(20261123)
		r := rand.New(rand.NewPCG(seed, 1))
		s := script.New(frame("0 begin"))
		l := open(t, near, "", s)
		sizes := make([]int, frames)
		for i := range sizes {
			sizes[i] = r.IntN(200)
			if r.IntN(20) == 0 {
				sizes[i] = r.IntN(200_000)
			}
		}
		first, _ := io.ReadFull(far, make([]byte, len("0 begin\n")))
		if first == 0 {
			t.Fatal("nothing came")
		}
		until(t, "parked", s.Parked)
		var writers sync.WaitGroup
		writers.Go(func() {
			for i := 1; i < frames; i++ {
				s.Push(frame(fmt.Sprint(i, " ", strings.Repeat("x", sizes[i]))))
			}
		})
		writers.Go(func() {
			for n := range frames {
				if err := l.out.Send(fmt.Appendf(nil, "c%d\n", n)); err != nil {
					t.Errorf("sent: %v", err)
					return
				}
				runtime.Gosched()
			}
		})
		in := bufio.NewReaderSize(far, 1000)
		if l.out.raw != nil {
			until(t, "too much", func() bool { _, left := s.Offered(); return left > 0 })
		}
		controls := -1
		for i := 1; i < frames; {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			number, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if control, ok := strings.CutPrefix(number, "c"); ok {
				if n, err := strconv.Atoi(control); err != nil || n <= controls {
					t.Fatalf("%q came after %d: %v", line, controls, err)
				}
				controls, _ = strconv.Atoi(control)
				continue
			}
			if number != strconv.Itoa(i) || len(rest) != sizes[i] {
				t.Fatalf("frame %.20q of %d bytes came, want %d of %d", number, len(rest), i, sizes[i])
			}
			i++
		}
		go io.Copy(io.Discard, in) // what is still sent
		writers.Wait()
		s.Close()
		if err := <-l.ended; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
		if err := <-l.over; err != nil {
			t.Error(err)
		}
	})
}

// Who reads nothing is left alone until he does; what he asks for again and again does not gather.
func TestAClientThatReadsLater(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		s := script.New()
		l := open(t, near, "", s)
		until(t, "parked", s.Parked)
		n := 0
		for left := 0; left == 0; _, left = s.Offered() {
			s.Push(frame(strings.Repeat("x", 10_000)))
			n++
		}
		for i := range 10_000 {
			if err := l.out.Send([]byte(fmt.Sprintf("%c%d\n", 'a'+i%3, i))); err != nil {
				t.Fatal(err)
			}
		}
		l.out.mu.Lock()
		if waits := len(l.out.lend().controls); waits > 4 {
			t.Errorf("%d messages wait", waits)
		}
		l.out.mu.Unlock()
		s.Push(frame("end"))
		in := bufio.NewReader(far)
		got := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "end\n" {
				break
			}
			if len(line) == 10_001 {
				got++
			}
		}
		if got != n {
			t.Errorf("%d frames came, want %d", got, n)
		}
		until(t, "parked again", s.Parked)
	})
}

// What is offered while something of the transport's own is being written is not sent before the client has taken it.
func TestIsNotParkedBeforeItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := script.New()
		l := open(t, near, "", s)
		synctest.Wait()
		if err := l.out.Send([]byte("a\n")); err != nil {
			t.Fatal(err)
		}
		s.Push(frame("b"))
		synctest.Wait()
		if s.Parked() {
			t.Error("it is taken for sent")
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(far, got); err != nil || string(got) != "a\nb\n" {
			t.Errorf("%q, %v", got, err)
		}
		synctest.Wait()
		if !s.Parked() {
			t.Error("it is not parked when it is sent")
		}
		far.Close()
		<-l.over
	})
}

func TestReadsWhatCameEarlyAndLate(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		l := open(t, near, "early ", script.New())
		want := "early "
		for i := range 200 {
			text := strings.Repeat(fmt.Sprint(i), 1+i*i%1000)
			want += text
			if _, err := io.WriteString(far, text); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				until(t, "read", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.said.Len() == len(want) })
			}
		}
		far.Close()
		if err := <-l.ended; err != ErrStopped {
			t.Errorf("ended with %v", err)
		}
		<-l.over
		if l.said.String() != want || l.err != io.EOF {
			t.Errorf("read %d bytes of %d, then %v", l.said.Len(), len(want), l.err)
		}
	})
}

func TestEndsOnce(t *testing.T) {
	for name, end := range map[string]func(l *lines, far net.Conn){
		"stopped":        func(l *lines, far net.Conn) { l.out.Stop() },
		"closed":         func(l *lines, far net.Conn) { l.out.Close() },
		"gone":           func(l *lines, far net.Conn) { far.Close() },
		"session closed": func(l *lines, far net.Conn) { l.session.Close() },
		"last":           func(l *lines, far net.Conn) { l.session.Push(script.Frame("last", "", "x")) },
		"all of it": func(l *lines, far net.Conn) {
			go l.out.Stop()
			go l.session.Close()
			go l.out.Close()
			go l.session.Push(frame("x"))
			go far.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, near, far net.Conn) {
				for _, parks := range []bool{true, false} {
					near, far := near, far
					if !parks {
						near, far = ways[strings.Split(t.Name(), "/")[2]](t)
						defer far.Close()
					}
					s := script.New()
					s.NeverParks = !parks
					l := open(t, near, "", s)
					if parks {
						until(t, "parked", s.Parked)
					}
					go io.Copy(io.Discard, far)
					end(l, far)
					<-l.ended
					if err := <-l.over; err != nil {
						t.Error(err)
					}
					if n := l.calls.Load(); n != 1 || len(l.over) > 0 || l.goroutines() != 0 {
						t.Errorf("ended %d times, told %d times more, %d goroutines", n, len(l.over), l.goroutines())
					}
					l.out.Do(func() { t.Error("something ran after the end") })
				}
			})
		})
	}
}

func TestNothingFollowsTheLast(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		s := script.New()
		l := open(t, near, "", s)
		until(t, "parked", s.Parked)
		said := make(chan string, 1)
		go func() {
			data, _ := io.ReadAll(far)
			said <- string(data)
		}()
		if err := l.out.Finish([]byte("bye\n")); err != nil {
			t.Fatal(err)
		}
		s.Push(frame("no"))
		if err := l.out.Send([]byte("no\n")); err == nil {
			t.Error("something followed the last")
		}
		if err := <-l.ended; err == nil {
			t.Error("ended without an error")
		}
		if got := <-said; got != "bye\n" {
			t.Errorf("said %q", got)
		}
	})
}

// broken is a session that panics.
type broken struct{ *script.Session }

func (broken) Park(transport.Parked) bool { panic("oh") }

func TestAPanicEndsOneConnection(t *testing.T) {
	near, far := tcp(t)
	defer far.Close()
	s := broken{script.New()}
	l := &lines{session: s.Session, ended: make(chan error, 2), over: make(chan error, 2)}
	l.out.Open(near, nil, l, "lines", s, time.Second, func() func(error) { return func(failure error) { l.over <- failure } })
	l.out.Drain()
	if err := <-l.over; err == nil || !strings.Contains(err.Error(), "oh") || !strings.Contains(err.Error(), "Park") {
		t.Errorf("the hub was told %v", err)
	}
	<-l.ended
	if !s.Closed() {
		t.Error("the session is open")
	}
}

// lingering is a transport that waits for its client to go.
type lingering struct{ *lines }

func (l lingering) Ended(err error) { l.session.Close(); l.ended <- err }

// A panic is told when the connection is closed, however long the client takes to go.
func TestAPanicIsKeptWhileTheClientIsWaitedFor(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		s := broken{script.New()}
		l := &lines{session: s.Session, ended: make(chan error, 2), over: make(chan error, 2)}
		l.out.Open(near, nil, lingering{l}, "lines", s, time.Second, func() func(error) { return func(failure error) { l.over <- failure } })
		l.out.Go(l.Arrived)
		until(t, "waited for", l.rests)
		l.out.Drain()
		<-l.ended
		until(t, "waited for", l.rests)
		far.Close()
		if err := <-l.over; err == nil || !strings.Contains(err.Error(), "oh") {
			t.Errorf("the hub was told %v", err)
		}
	})
}

func TestServeWaitsWhereNobodyHolds(t *testing.T) {
	near, far := tcp(t)
	l := &lines{session: script.New(), ended: make(chan error, 2)}
	l.out.Open(near, nil, l, "lines", l.session, time.Second, nil)
	l.out.Drain()
	l.out.Go(l.Arrived)
	until(t, "parked", l.session.Parked)
	far.Close()
	l.out.Wait()
	if n := l.calls.Load(); n != 1 || l.goroutines() != 0 {
		t.Errorf("ended %d times, %d goroutines", n, l.goroutines())
	}
}
