package natsbroker_test

import (
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// rollback is a server whose stream ended with lost entries that two brokers had seen, and that now ends before them.
type rollback struct {
	*bench
	server *natstest.Server
	a, b   broker.Broker
	kept   []broker.Entry
	lost   []broker.Entry
}

func newRollback(t *testing.T) *rollback {
	s := natstest.Start(t)
	r := &rollback{bench: newBench(s.URL()), server: s}
	r.a = r.New(t)
	r.b = r.Second(t, r.a)
	r.kept = fill(t, r.a, 5, "kept")
	s.Stop()
	data := s.Copy(t)
	s.Start(t)
	answers(t, r.a)
	r.lost = fill(t, r.a, 5, "lost")
	after(t, r.b, r.kept[4].Position, r.lost)
	s.Stop()
	s.StartFrom(t, data)
	return r
}

// heads asks brokers for the head at the same time; they must agree.
func heads(t *testing.T, brokers ...broker.Broker) broker.Position {
	t.Helper()
	got := make([]broker.Position, len(brokers))
	var wg sync.WaitGroup
	for i, b := range brokers {
		wg.Go(func() {
			answers(t, b)
			var err error
			if got[i], err = b.Head(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range got {
		if p != got[0] {
			t.Fatalf("the brokers of one stream say %+v", got)
		}
	}
	return got[0]
}

// onward asserts that a new epoch has begun, one for all, and that the log goes on in it.
func (r *rollback) onward(t *testing.T) {
	t.Helper()
	head := heads(t, r.a, r.b) // both find it out, at once
	c := r.Second(t, r.a)
	if again := heads(t, r.a, r.b, c); again != head {
		t.Fatalf("the head was %+v, and is %+v", head, again)
	}
	if head.Epoch == r.lost[0].Position.Epoch {
		t.Fatal("the epoch is the same, and entries were lost")
	}
	for _, b := range []broker.Broker{r.a, r.b, c} {
		for _, e := range [][]broker.Entry{r.kept, r.lost} {
			expired(t, b, e[0].Position)
			expired(t, b, e[4].Position)
		}
	}
	var want []broker.Entry
	for _, b := range []broker.Broker{r.a, c, r.b} {
		want = append(want, fill(t, b, 5, "new")...)
	}
	for _, b := range []broker.Broker{r.a, r.b, c} {
		after(t, b, head, want)
		after(t, b, want[3].Position, want[4:])
	}
	if again := heads(t, r.a, r.b, c); again != want[14].Position {
		t.Errorf("the head is %+v, want %+v", again, want[14].Position)
	}
}

func TestServerLostItsEnd(t *testing.T) { newRollback(t).onward(t) }

// TestAppendFindsTheLoss lets an Append be the first to come after the loss.
func TestAppendFindsTheLoss(t *testing.T) {
	r := newRollback(t)
	new := fill(t, r.a, 1, "new")
	if new[0].Position.Epoch == r.lost[0].Position.Epoch {
		t.Fatalf("%+v is of the epoch whose entries were lost", new[0].Position)
	}
	after(t, r.b, broker.Position{}, new) // what was kept is of the epoch before
	after(t, r.Second(t, r.a), broker.Position{}, new)
	r.onward(t)
}

// TestLossIsFilledAgain lets a broker that had not seen the lost entries append others in their place first, more than were lost.
func TestLossIsFilledAgain(t *testing.T) {
	r := newRollback(t)
	c := r.Second(t, r.a)
	answers(t, c)
	other := fill(t, c, 8, "other")
	if other[0].Position.Epoch != r.kept[0].Position.Epoch {
		t.Fatal("a broker that knew nothing of a loss made a new epoch")
	}
	for _, e := range r.lost {
		expired(t, c, e.Position) // another entry is in its place
	}
	if again := heads(t, c); again != other[7].Position {
		t.Fatalf("a cursor that somebody brought made a new epoch: %+v", again)
	}
	head := heads(t, r.a, r.b) // only they can know
	if head.Epoch == other[0].Position.Epoch {
		t.Fatal("entries were lost, others are in their place, and the epoch is the same")
	}
	// The server refuses what is published to the last epoch: the broker that missed all of it cannot go on there.
	new := fill(t, c, 1, "new")
	if new[0].Position.Epoch != head.Epoch {
		t.Fatalf("appended at %+v, and the epoch is %d", new[0].Position, head.Epoch)
	}
	expired(t, c, other[7].Position)
	r.onward(t)
}

// TestLossUnderFollowers has followers that wait at the end when the server loses it.
func TestLossUnderFollowers(t *testing.T) {
	s := natstest.Start(t)
	n := newBench(s.URL())
	a := n.New(t)
	b := n.Second(t, a)
	fill(t, a, 5, "kept")
	s.Stop()
	data := s.Copy(t)
	s.Start(t)
	answers(t, a)
	lost := fill(t, a, 5, "lost")
	var followers []*reading
	for _, b := range []broker.Broker{a, b, b} {
		followers = append(followers, startReading(t, b, lost[0].Position))
	}
	for _, f := range followers {
		<-f.news
	}
	s.Stop()
	s.StartFrom(t, data)
	for _, f := range followers {
		<-f.done // by ErrExpired: nobody cancels it
	}
	heads(t, a, b)
}

// TestNextEpochUnderAFollower changes the epoch as another broker does: a follower to whom nothing else happened gets to know it
// from the first entry of the next.
func TestNextEpochUnderAFollower(t *testing.T) {
	s := natstest.Start(t)
	n := newBench(s.URL())
	a := n.New(t)
	b := n.Second(t, a)
	all := fill(t, a, 3, "entry")
	follower := startReading(t, b, all[0].Position)
	<-follower.news

	js := natstest.Connect(t, s.URL())
	stream := must[jetstream.Stream](t)(js.Stream(t.Context(), n.stream(a)))
	c := stream.CachedInfo().Config
	c.Subjects = []string{"live." + n.stream(a) + ".abc"}
	must[jetstream.Stream](t)(js.UpdateStream(t.Context(), c))

	next := fill(t, a, 1, "next")
	<-follower.done
	expired(t, b, all[2].Position)
	after(t, b, broker.Position{}, next)
	if head := heads(t, a, b); head != next[0].Position {
		t.Errorf("the head is %+v, want %+v", head, next[0].Position)
	}
}

func TestServerLostItsDisk(t *testing.T) {
	s := natstest.Start(t)
	n := newBench(s.URL())
	a := n.New(t)
	b := n.Second(t, a)
	old := fill(t, a, 3, "old")
	s.Stop()
	s.StartEmpty(t)
	if head := heads(t, a, b); head.Epoch == old[0].Position.Epoch || head.Major != 0 || head.Minor != 0 {
		t.Errorf("the head is %+v", head)
	}
	new := fill(t, b, 5, "new")
	expired(t, a, old[1].Position)
	after(t, a, broker.Position{}, new)
}

// TestMadeAtOnce has many brokers come to a stream that is missing, and later to one that was made for them.
func TestMadeAtOnce(t *testing.T) {
	n := newBench(natstest.URL(t))
	js := natstest.Connect(t, n.urls...)
	a := n.New(t)
	all := []broker.Broker{a}
	for range 7 {
		all = append(all, n.Second(t, a))
	}
	made := heads(t, all...)
	if err := js.DeleteStream(t.Context(), n.stream(a)); err != nil {
		t.Fatal(err)
	}
	again := heads(t, all...)
	if again.Epoch == made.Epoch {
		t.Error("the stream was made again, and the epoch is the same")
	}
	if err := js.DeleteStream(t.Context(), n.stream(a)); err != nil {
		t.Fatal(err)
	}
	subject := "live." + n.stream(a) + ".>"
	must[jetstream.Stream](t)(js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: n.stream(a), Subjects: []string{subject}, MaxMsgs: 7, Storage: jetstream.MemoryStorage,
	}))
	must[*jetstream.PubAck](t)(js.Publish(t.Context(), "live."+n.stream(a)+".else", []byte("no entry")))
	adopted := heads(t, all...)
	if adopted.Epoch == again.Epoch || adopted.Major != 1 || adopted.Minor != 0 {
		t.Errorf("the head is %+v", adopted)
	}
	want := fill(t, a, 3, "entry")
	for _, b := range all {
		after(t, b, broker.Position{}, want)
		after(t, b, adopted, want)
	}
	c := must[jetstream.Stream](t)(js.Stream(t.Context(), n.stream(a))).CachedInfo().Config
	if c.MaxMsgs != 7 || c.Storage != jetstream.MemoryStorage {
		t.Errorf("the limits of a stream that existed became %+v", c)
	}
	// The broker's own options did not change them, but they hold.
	fill(t, a, 10, "more")
	expired(t, a, want[0].Position)
}

// TestNobodySawTheNewest: a log that has forgotten everything knows how far it came, but not the newest entry's id.
func TestNobodySawTheNewest(t *testing.T) {
	n := newBench(natstest.URL(t))
	a := n.New(t)
	all := fill(t, a, 5, "entry")
	n.Trim(t, a, 0)
	b := n.Second(t, a)
	head := must[broker.Position](t)(b.Head(t.Context()))
	if want := (broker.Position{Epoch: all[4].Position.Epoch, Major: 5}); head != want {
		t.Fatalf("the head is %+v, want %+v", head, want)
	}
	if head := must[broker.Position](t)(a.Head(t.Context())); head != all[4].Position {
		t.Errorf("to who had seen it the head is %+v, want %+v", head, all[4].Position)
	}
	more := fill(t, b, 3, "more")
	for _, c := range []broker.Broker{a, b} {
		after(t, c, head, more)
		after(t, c, all[4].Position, more)
		expired(t, c, all[3].Position)
	}
}

// TestHole deletes a message in the middle, as an operator can where the stream allows it.
func TestHole(t *testing.T) {
	n := newBench(natstest.URL(t))
	js := natstest.Connect(t, n.urls...)
	a := n.New(t)
	stream := must[jetstream.Stream](t)(js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: n.stream(a), Subjects: []string{"live." + n.stream(a)},
	}))
	all := fill(t, a, 6, "entry")
	if err := stream.DeleteMsg(t.Context(), all[3].Position.Major); err != nil {
		t.Fatal(err)
	}
	r := startReading(t, a, all[0].Position)
	<-r.done
	if len(r.got) != 2 {
		t.Errorf("before the hole came %d entries, want 2", len(r.got))
	}
	expired(t, a, all[3].Position)
	after(t, a, all[4].Position, all[5:])

	// The newest, too: nobody waits for it for ever.
	if err := stream.DeleteMsg(t.Context(), all[5].Position.Major); err != nil {
		t.Fatal(err)
	}
	for _, b := range []broker.Broker{a, n.Second(t, a)} {
		if head := must[broker.Position](t)(b.Head(t.Context())); head.Major != all[5].Position.Major {
			t.Errorf("the head is %+v, want that of %+v", head, all[5].Position)
		}
	}
	more := fill(t, a, 2, "more")
	expired(t, a, all[5].Position)
	after(t, a, more[0].Position, more[1:])
}

// TestBeyondWhatWasSeen: whatever cursors clients bring, the epoch stays.
func TestBeyondWhatWasSeen(t *testing.T) {
	n := newBench(natstest.URL(t))
	a := n.New(t)
	all := fill(t, a, 3, "entry")
	for _, p := range []broker.Position{
		{Epoch: all[2].Position.Epoch, Major: 4, Minor: 7}, {Epoch: all[2].Position.Epoch, Major: 2, Minor: 7},
		{Epoch: all[2].Position.Epoch, Major: 3}, {Epoch: 7, Major: 2, Minor: all[1].Position.Minor},
	} {
		expired(t, a, p)
	}
	if head := heads(t, a); head != all[2].Position {
		t.Errorf("the head is %+v, want %+v", head, all[2].Position)
	}
}
