package natsbroker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/natsbroker/natstest"
)

// config returns the configuration of the stream that a broker with such options makes.
func config(t *testing.T, js jetstream.JetStream, o natsbroker.Options, stream string) jetstream.StreamConfig {
	t.Helper()
	must[broker.Position](t)(natsbroker.New(js, o).Head(t.Context()))
	return must[jetstream.Stream](t)(js.Stream(t.Context(), stream)).CachedInfo().Config
}

func TestOptions(t *testing.T) {
	js := natstest.Connect(t, natstest.Start(t).URL())
	c := config(t, js, natsbroker.Options{}, "LIVE")
	if c.MaxBytes != 256<<20 || c.MaxMsgs != 1_000_000 || c.MaxAge != time.Hour || c.Replicas != 1 || !c.DenyDelete ||
		c.Duplicates != 2*time.Minute || len(c.Subjects) != 1 || !strings.HasPrefix(c.Subjects[0], "live.log.") {
		t.Errorf("by default it is %+v", c)
	}
	c = config(t, js, natsbroker.Options{
		Stream: "A", Subject: "a", MaxBytes: 5 << 20, MaxEntries: 5, MaxAge: time.Minute,
	}, "A")
	if c.MaxBytes != 5<<20 || c.MaxMsgs != 5 || c.MaxAge != time.Minute || c.Duplicates != time.Minute {
		t.Errorf("with limits it is %+v", c)
	}
	c = config(t, js, unbounded("B"), "B")
	if c.MaxBytes != -1 || c.MaxMsgs != -1 || c.MaxAge != 0 {
		t.Errorf("without limits it is %+v", c)
	}
	c = config(t, js, natsbroker.Options{Stream: "C", Subject: "c", MaxAge: 1}, "C")
	if c.MaxAge != 100*time.Millisecond {
		t.Errorf("MaxAge 1 ns is %v", c.MaxAge)
	}
}

// TestMistakes: each is told by every method, in words that name what is wrong.
func TestMistakes(t *testing.T) {
	js := natstest.Connect(t, natstest.Start(t).URL())
	for _, c := range []jetstream.StreamConfig{
		{Name: "FOREIGN", Subjects: []string{"else.>"}},
		{Name: "SEVERAL", Subjects: []string{"several", "several.else"}},
		{Name: "QUEUE", Subjects: []string{"queue"}, Retention: jetstream.WorkQueuePolicy},
		{Name: "FULL", Subjects: []string{"full"}, Discard: jetstream.DiscardNew, MaxMsgs: 1},
	} {
		must[jetstream.Stream](t)(js.CreateStream(t.Context(), c))
	}
	for _, c := range []struct {
		js   jetstream.JetStream
		o    natsbroker.Options
		says string
	}{
		{nil, natsbroker.Options{}, "jetstream.New"},
		{js, natsbroker.Options{Stream: "a.b"}, `Options.Stream is "a.b"`},
		{js, natsbroker.Options{Subject: "a.>"}, `Options.Subject is "a.>"`},
		{js, natsbroker.Options{Subject: "a."}, `Options.Subject is "a."`},
		{js, natsbroker.Options{Replicas: 7}, "Options.Replicas is 7"},
		{js, natsbroker.Options{Stream: "FOREIGN", Subject: "foreign"}, "name another stream"},
		{js, natsbroker.Options{Stream: "SEVERAL", Subject: "several"}, "name another stream"},
		{js, natsbroker.Options{Stream: "QUEUE", Subject: "queue"}, "retention by limits"},
		{js, natsbroker.Options{Stream: "FULL", Subject: "full"}, "discards the old"},
		{js, natsbroker.Options{Stream: "OVERLAPS", Subject: "else.log"}, "overlap"},
	} {
		c.o.Timeout = time.Minute // nothing waits for it
		b := natsbroker.New(c.js, c.o)
		_, onHead := b.Head(t.Context())
		_, onAppend := b.Append(t.Context(), nil)
		onFollow := b.Follow(t.Context(), broker.Position{}, func([]broker.Entry) error { return nil })
		for _, err := range []error{onHead, onAppend, onFollow} {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v; want a word of %q", c.o, err, c.says)
			}
		}
	}
}

// TestLargeEntries: who wants entries of 1 MiB gives the server a larger max_payload.
func TestLargeEntries(t *testing.T) {
	js := natstest.Connect(t, natstest.StartWith(t, server.Options{MaxPayload: 2 << 20}).URL())
	b := natsbroker.New(js, natsbroker.Options{})
	first := must[broker.Position](t)(b.Append(t.Context(), nil))
	data := make([]byte, 1<<20)
	at := must[broker.Position](t)(b.Append(t.Context(), data))
	after(t, b, first, []broker.Entry{{Position: at, Data: data}})
	refused(t, b, 1<<20+1, "1048577 bytes, at most 1048576")

	b = natsbroker.New(js, natsbroker.Options{MaxEntryBytes: -1})
	must[broker.Position](t)(b.Append(t.Context(), make([]byte, 2<<20-256)))
	refused(t, b, 2<<20-255, "2096897 bytes, at most 2096896")
	b = natsbroker.New(js, natsbroker.Options{MaxEntryBytes: 10})
	refused(t, b, 11, "11 bytes, at most 10")

	// The stream may have a limit of its own, which the server alone knows.
	must[jetstream.Stream](t)(js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "SMALL", Subjects: []string{"small"}, MaxMsgSize: 200,
	}))
	b = natsbroker.New(js, natsbroker.Options{Stream: "SMALL", Subject: "small"})
	must[broker.Position](t)(b.Append(t.Context(), make([]byte, 100)))
	refused(t, b, 300, "300 bytes")
}

func refused(t *testing.T, b broker.Broker, size int, says string) {
	t.Helper()
	_, err := b.Append(t.Context(), make([]byte, size))
	if !errors.Is(err, broker.ErrTooLarge) || !strings.Contains(err.Error(), says) {
		t.Errorf("an entry of %d bytes: %v; want %q", size, err, says)
	}
}

// TestAge: what is too old is gone, the position is not.
func TestAge(t *testing.T) {
	js := natstest.Connect(t, natstest.Start(t).URL())
	b := natsbroker.New(js, natsbroker.Options{MaxAge: 100 * time.Millisecond})
	all := fill(t, b, 3, "entry")
	for must[jetstream.Stream](t)(js.Stream(t.Context(), "LIVE")).CachedInfo().State.Msgs > 0 {
	}
	if head := must[broker.Position](t)(b.Head(t.Context())); head != all[2].Position {
		t.Errorf("the head is %+v, want %+v", head, all[2].Position)
	}
	expired(t, b, all[0].Position)
	r := startReading(t, b, all[2].Position)
	more := fill(t, b, 1, "more")
	if err := r.gets(t, more); err != nil {
		t.Error(err)
	}
}
