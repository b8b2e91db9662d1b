package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
)

var errEnough = errors.New("enough")

// fill appends n entries and returns them.
func fill(t testing.TB, b broker.Broker, prefix string, n int) []broker.Entry {
	t.Helper()
	var entries []broker.Entry
	for i := range n {
		data := fmt.Appendf(nil, "%s %d", prefix, i)
		p, err := b.Append(t.Context(), data)
		if err != nil {
			t.Fatalf("appending %q: %v", data, err)
		}
		entries = append(entries, broker.Entry{Position: p, Data: data})
	}
	return entries
}

// head returns the head of the log.
func head(t testing.TB, b broker.Broker) broker.Position {
	t.Helper()
	p, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// take follows until n entries came, or Follow fails.
func take(ctx context.Context, b broker.Broker, after broker.Position, n int) (got []broker.Entry, err error) {
	err = b.Follow(ctx, after, func(batch []broker.Entry) error {
		if got = append(got, batch...); len(got) >= n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, err
}

// follows sees that exactly these entries follow a position.
func follows(t testing.TB, b broker.Broker, after broker.Position, want []broker.Entry) {
	t.Helper()
	got, err := take(t.Context(), b, after, len(want))
	if err != nil {
		t.Fatalf("following after %v: %v", after, err)
	}
	same(t, got, want)
}

func same(t testing.TB, got, want []broker.Entry) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b broker.Entry) bool {
		return a.Position == b.Position && string(a.Data) == string(b.Data)
	}) {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}

// expires sees that the log is said not to hold what follows a position.
func expires(t testing.TB, b broker.Broker, after broker.Position) {
	t.Helper()
	err := b.Follow(t.Context(), after, func(batch []broker.Entry) error {
		return fmt.Errorf("delivered %s", batch)
	})
	if !errors.Is(err, broker.ErrExpired) {
		t.Fatalf("following after %v: %v, want ErrExpired", after, err)
	}
}

// reader follows from a position, and again from the last entry whenever Follow fails.
type reader struct {
	got  chan broker.Entry
	done chan error // gets ErrExpired
}

func read(t testing.TB, b broker.Broker, after broker.Position) *reader {
	r := &reader{got: make(chan broker.Entry, 100_000), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			err := b.Follow(ctx, after, func(batch []broker.Entry) error {
				for _, e := range batch {
					r.got <- e
					after = e.Position
				}
				return nil
			})
			if errors.Is(err, broker.ErrExpired) {
				r.done <- err
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); ended.Wait() })
	return r
}

// gets takes what comes and sees that it is what is wanted.
func (r *reader) gets(t testing.TB, want []broker.Entry) {
	t.Helper()
	for _, w := range want {
		select {
		case e := <-r.got:
			same(t, []broker.Entry{e}, []broker.Entry{w})
		case err := <-r.done:
			t.Fatalf("before %s: %v", w, err)
		case <-time.After(time.Minute):
			t.Fatalf("%s did not come", w)
		}
	}
}

// expires waits for the reader to be told that its position is gone.
func (r *reader) expires(t testing.TB) {
	t.Helper()
	select {
	case e := <-r.got:
		t.Fatalf("came %s, want ErrExpired", e)
	case <-r.done:
	case <-time.After(time.Minute):
		t.Fatal("the reader was told nothing")
	}
}

// TestNotThereAtStart makes a broker while its server is down.
func TestNotThereAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	b := newBroker(t, server.Client())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Append(ctx, []byte("too early")); err == nil {
		t.Error("Append succeeds without a server")
	}
	if _, err := b.Head(ctx); err == nil {
		t.Error("Head succeeds without a server")
	}
	r := read(t, b, broker.Position{})
	server.Restart()
	r.gets(t, fill(t, b, "entry", 10))
}

// TestRestartWithoutData restarts an emptied server under a reader that waits: a new epoch, never a log that goes on.
func TestRestartWithoutData(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, server.Client())
	old := fill(t, b, "old", 10)
	r := read(t, b, old[4].Position)
	r.gets(t, old[5:])
	server.RestartEmpty()
	again := head(t, b)
	if again.Epoch == old[0].Position.Epoch || again.Major != 0 {
		t.Errorf("after an emptied restart the head is %+v", again)
	}
	follows(t, b, again, fill(t, b, "new", 20))
	r.expires(t)
	expires(t, b, old[9].Position)
}

// TestClientKill cuts the connections of writers and readers again and again.
func TestClientKill(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, server.Client())
	r := read(t, b, broker.Position{})
	at := make(map[broker.Position]string)
	var last broker.Position
	for i := range 200 {
		if i%10 == 0 {
			server.Do("CLIENT", "KILL", "TYPE", "normal")
		}
		data := "entry " + strconv.Itoa(i)
		for {
			p, err := b.Append(t.Context(), []byte(data))
			if err == nil {
				at[p], last = data, p
				break
			}
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
	}
	var before broker.Position
	for before != last {
		select {
		case e := <-r.got:
			if !before.IsZero() && e.Position.Major != before.Major+1 {
				t.Fatalf("%v came after %v", e.Position, before)
			}
			if data, ok := at[e.Position]; ok && data != string(e.Data) {
				t.Fatalf("%v is %q, was appended as %q", e.Position, e.Data, data)
			}
			delete(at, e.Position)
			before = e.Position
		case err := <-r.done:
			t.Fatal(err)
		case <-time.After(time.Minute):
			t.Fatalf("nothing came after %v", before)
		}
	}
	if len(at) > 0 {
		t.Errorf("never came: %v", at)
	}
}

// TestPause freezes the server for as long as Head waits by itself, 5 seconds.
func TestPause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := bounded(t, server.Client(), redisbroker.Options{})
	r := read(t, b, broker.Position{})
	r.gets(t, fill(t, b, "before", 5))
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Head with a deadline of 200 ms: %v", err)
	}
	began := time.Now()
	if _, err := b.Head(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Head without a deadline: %v", err)
	}
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("Head gave up after %v", took)
	}
	server.Resume()
	r.gets(t, fill(t, b, "after", 5))
}

// TestLostKeys deletes one key of the log, or a part of it, under a reader: what an eviction or a careless hand does.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.URL(t))
	for name, lose := range map[string]func(log, meta, id string) []any{
		"the stream":   func(log, meta, id string) []any { return []any{"DEL", log} },
		"the hash":     func(log, meta, id string) []any { return []any{"DEL", meta} },
		"both":         func(log, meta, id string) []any { return []any{"DEL", log, meta} },
		"an entry":     func(log, meta, id string) []any { return []any{"XDEL", log, id} },
		"one too many": func(log, meta, id string) []any { return []any{"XADD", log, "1000-1", "d", "by hand"} },
		"a field":      func(log, meta, id string) []any { return []any{"HDEL", meta, "word"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, client)
			t.Cleanup(func() { forget(t, b) })
			old := fill(t, b, "old", 10)
			r := read(t, b, old[4].Position)
			r.gets(t, old[5:])
			log, meta := b.Keys()
			id := fmt.Sprintf("%d-%d", old[2].Position.Major, old[2].Position.Minor)
			if err := client.Do(t.Context(), lose(log, meta, id)...).Err(); err != nil {
				t.Fatal(err)
			}
			r.expires(t)
			expires(t, b, old[9].Position)
			again := fill(t, b, "new", 3)
			follows(t, b, broker.Position{}, again)
		})
	}
}

// TestEviction lets Redis evict the log, which it may not be configured to do.
func TestEviction(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random")
	client := server.Client()
	b := newBroker(t, client)
	old := fill(t, b, "old", 10)
	log, meta := b.Keys()
	for i := 0; client.Exists(t.Context(), log, meta).Val() == 2; i++ {
		if err := client.Set(t.Context(), "key"+strconv.Itoa(i), strings.Repeat("x", 10_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expires(t, b, old[9].Position)
}

// TestFull fills a server that may not evict: Append says so, the log stays whole, and goes on when there is room.
func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	b := newBroker(t, client)
	want := fill(t, b, "before", 5)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	if _, err := b.Append(t.Context(), []byte("no room")); !redis.HasErrorPrefix(err, "OOM") {
		t.Errorf("Append on a full server: %v", err)
	}
	if got := head(t, b); got != want[4].Position {
		t.Errorf("the head is %v, and was %v", got, want[4].Position)
	}
	follows(t, b, broker.Position{}, want)
	server.Do("CONFIG", "SET", "maxmemory", "0")
	follows(t, b, broker.Position{}, append(want, fill(t, b, "after", 5)...))
}

// TestLostReply swallows the answer to an Append: the client library, which tries by itself, must not add the entry twice.
func TestLostReply(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := newProxy(t, server.Addr())
	client := redistest.Client(t, "redis://"+proxy.addr)
	b := newBroker(t, client)
	want := fill(t, b, "entry", 1)
	proxy.swallow.Store(true)
	if _, err := b.Append(t.Context(), []byte("unanswered")); err == nil {
		t.Fatal("Append succeeds without an answer")
	}
	proxy.swallow.Store(false)
	want = append(want, fill(t, b, "entry", 1)...)
	got, err := take(t.Context(), b, want[0].Position, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || string(got[0].Data) != "unanswered" || got[1].Position != want[1].Position {
		t.Errorf("after the first entry came %s, want the unanswered one once, and %s", got, want[1])
	}
}

// TestCluster uses a cluster of one node, which refuses scripts whose keys lie in two slots.
func TestCluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--cluster-enabled", "yes")
	server.Do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	for !strings.Contains(fmt.Sprint(server.Do("CLUSTER", "INFO")), "cluster_state:ok") {
		if t.Context().Err() != nil {
			t.Fatal("the cluster is not ready")
		}
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr()}})
	t.Cleanup(func() { client.Close() })
	b := newBroker(t, client)
	log, meta := b.Keys()
	if one, other := server.Do("CLUSTER", "KEYSLOT", log), server.Do("CLUSTER", "KEYSLOT", meta); one != other {
		t.Errorf("%s lies in slot %v, and %s in slot %v", log, one, meta, other)
	}
	want := fill(t, b, "entry", 300)
	follows(t, b, want[0].Position, want[1:])
	if got := head(t, b); got != want[299].Position {
		t.Errorf("the head is %v, want %v", got, want[299].Position)
	}
}

func TestNewRefuses(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{})
	t.Cleanup(func() { ring.Close() })
	for name, new := range map[string]func() (*redisbroker.Broker, error){
		"no client": func() (*redisbroker.Broker, error) { return redisbroker.New(nil, redisbroker.Options{}) },
		"a ring":    func() (*redisbroker.Broker, error) { return redisbroker.New(ring, redisbroker.Options{}) },
		"braces": func() (*redisbroker.Broker, error) {
			return redisbroker.New(redis.NewClient(&redis.Options{}), redisbroker.Options{Name: "{app}"})
		},
	} {
		b, err := new()
		if b != nil || err == nil || !strings.HasPrefix(err.Error(), "redisbroker: ") {
			t.Errorf("%s: New returns %v, %v", name, b, err)
		}
	}
}
