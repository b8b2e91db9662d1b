package livetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
)

var _ live.Publisher[todo] = (*livetest.Recorder[todo])(nil)

func TestRecorder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	rec := &livetest.Recorder[todo]{}
	was, now := todo{ID: 1, Title: "milk"}, todo{ID: 1, Title: "tea"}
	go func() {
		_ = errors.Join(rec.Created(ctx, was), rec.Updated(ctx, was, now), rec.Deleted(ctx, now))
	}()
	rec.Want(t, live.Create, was)
	if got := rec.Want(t, live.Update, now); got.Was != was {
		t.Errorf("the update was reported of %+v", got.Was)
	}
	rec.Want(t, live.Delete, now)
	rec.WantNone(t)

	rec.Err = errDisk
	for _, err := range []error{rec.Created(ctx, now), rec.Updated(ctx, was, now), rec.Deleted(ctx, was)} {
		if err != errDisk {
			t.Errorf("publishing fails with %v", err)
		}
	}
	if got := rec.Events(); len(got) != 3 || got[2] != (livetest.Recorded[todo]{Event: live.Delete, Was: now}) {
		t.Errorf("recorded is %v", got)
	}
}

func TestRecorderFailures(t *testing.T) {
	t.Parallel()
	type note struct{ Text string }
	rec := &livetest.Recorder[note]{}
	report := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	report(rec.Created(context.Background(), note{"a"}))
	run(t, func(t *fake) {
		t.here()
		rec.WantNone(t)
	}).want(t, "want nothing reported, got create {Text:a}")
	run(t, func(t *fake) {
		t.here()
		rec.Want(t, live.Delete, note{"a"})
	}).want(t, "want delete {Text:a} reported, got create {Text:a}")
	report(rec.Updated(context.Background(), note{"a"}, note{"b"}))
	run(t, func(t *fake) {
		t.here()
		rec.Want(t, live.Update, note{"c"})
	}).want(t, "want update {Text:c} reported, got update {Text:b} (it was {Text:a})")
	run(t, func(t *fake) {
		t.hasten()
		t.here()
		rec.Want(t, live.Create, note{"d"})
	}).want(t, "before it came create {Text:a}, update {Text:b} (it was {Text:a})")
}
