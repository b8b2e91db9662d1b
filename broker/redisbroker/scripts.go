package redisbroker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
)

var (
	//go:embed lua/state.lua
	stateLua string
	//go:embed lua/head.lua
	headLua string
	//go:embed lua/append.lua
	appendLua string
	//go:embed lua/after.lua
	afterLua string
)

// script is one that the server runs as a whole, so that nobody sees the stream and the hash beside it apart.
type script struct {
	source, hash string
}

func newScript(body string) script {
	source := stateLua + body
	return script{source: source, hash: redis.NewScript(source).Hash()}
}

// once is a command that the client library does not send again when its answer was lost: it may have been carried out, and an
// entry would be in the log twice.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// waits are the pauses before a script is tried again that the server did not run. Together they last as long as a small server needs
// to start again.
var waits = []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}

// run runs a script and returns the strings it answers with. It returns as soon as ctx ends, or after Options.Timeout when ctx has
// no deadline; the arguments may be read even later.
func (b *Broker) run(ctx context.Context, s script, args ...any) ([]string, error) {
	ctx, cancel := b.limit(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		answer, err := await(ctx, func() ([]string, error) { return b.evaluate(ctx, s, args) })
		if err == nil || attempt == len(waits) || !refused(err) {
			return answer, err
		}
		select {
		case <-time.After(waits[attempt]):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// limit gives ctx the deadline that it has not.
func (b *Broker) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.timeout)
}

// await returns what call returns, or that ctx has ended. The client library looks at a context before it uses a connection, but
// whether it does while it waits for an answer is the user's setting; so the wait goes on without the caller, until the
// library's own timeout ends it.
func await[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := call()
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		if ended := ctx.Err(); ended != nil && a.err != nil {
			return a.value, errors.Join(ended, a.err)
		}
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// evaluate sends a script by its hash, and whole to a server that does not know it.
func (b *Broker) evaluate(ctx context.Context, s script, args []any) ([]string, error) {
	epoch, newest := newEpoch(), b.newest.get()
	send := func(command, text string) ([]string, error) {
		all := append([]any{command, text, 2, b.log, b.meta, epoch, newest.Epoch, newest.Major, newest.Minor}, args...)
		cmd := once{redis.NewCmd(ctx, all...)}
		if err := b.client.Process(ctx, cmd); err != nil {
			return nil, err
		}
		return cmd.StringSlice()
	}
	answer, err := send("evalsha", s.hash)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return send("eval", s.source)
	}
	return answer, err
}

// refused reports whether the server certainly did not run a script: it was not reached, or said that it cannot run it now.
func refused(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	for _, prefix := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// position reads a position that a script answers with, and remembers it when the log's newest entry is there.
func position(answer []string) (p broker.Position, err error) {
	if len(answer) != 3 {
		return p, fmt.Errorf("redisbroker: the script answered %q", answer)
	}
	for i, word := range []*uint64{&p.Epoch, &p.Major, &p.Minor} {
		if *word, err = strconv.ParseUint(answer[i], 10, 64); err != nil {
			return broker.Position{}, fmt.Errorf("redisbroker: the script answered %q", answer)
		}
	}
	return p, nil
}
