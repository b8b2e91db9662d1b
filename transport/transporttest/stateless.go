package transporttest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Refusal is an HTTP answer with a problem.
type Refusal struct {
	Problem Problem
	Raw     string
}

func (r *Refusal) Error() string { return "transporttest: refused: " + r.Raw }

// refusalOf reads the problem of an answer. Without one the error is the other.
func refusalOf(answer *http.Response, err error) error {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	body, _ := io.ReadAll(answer.Body)
	r := &Refusal{Raw: strings.TrimSpace(string(body))}
	if kind != "application/problem+json" || json.Unmarshal(body, &r.Problem) != nil {
		return fmt.Errorf("%w (HTTP status %d, %s: %.500s)", err, answer.StatusCode, kind, body)
	}
	if r.Problem.Status != answer.StatusCode {
		return fmt.Errorf("transporttest: the HTTP status is %d, its problem %s", answer.StatusCode, r.Raw)
	}
	return r
}

// post sends messages. An answer other than 200 is an error.
func (c *Client) post(ctx context.Context, url, accept string, messages []string) (*http.Response, error) {
	body := strings.NewReader(strings.Join(messages, "\n"))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, err
	}
	for name, values := range c.o.Header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Accept", accept)
	answer, err := c.o.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.proto = answer.Proto
	c.mu.Unlock()
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, refusalOf(answer, errors.New("transporttest: no answer"))
	}
	return answer, nil
}

// round posts messages and returns the messages of the answer.
func (c *Client) round(ctx context.Context, url string, messages []string) ([]string, error) {
	answer, err := c.post(ctx, url, "application/x-ndjson", messages)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n"), nil
}

// aside sends messages that are no subscriptions in a request of their own. The cursor of its answer concerns nobody.
func (c *Client) aside(ctx context.Context, messages []string) error {
	if len(messages) == 0 {
		return nil
	}
	answers, err := c.round(ctx, c.url, messages)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		c.push(0, `{"type":"error","problem":`+refusal.Raw+`}`)
		return nil
	case err != nil:
		return err
	}
	for _, raw := range answers {
		if m, err := decode(raw); err != nil || m.Type != "cursor" {
			c.push(0, raw)
		}
	}
	return nil
}

// subscribes returns what a request carries.
func (c *Client) subscribes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received.messages()
}

// stream is the way of Server-Sent Events.
type stream struct {
	c      *Client
	cancel context.CancelFunc
	ended  chan struct{}
}

// send opens a new stream when the subscriptions have changed, with their cursors, and drops the old.
func (s *stream) send(ctx context.Context, messages []string, changed bool) error {
	if changed {
		s.close(false)
		if messages := s.c.subscribes(); len(messages) > 0 {
			if err := s.open(messages); err != nil {
				return err
			}
		}
	}
	return s.c.aside(ctx, messages)
}

func (s *stream) open(messages []string) error {
	ctx, cancel := context.WithCancel(s.c.ctx)
	answer, err := s.c.post(ctx, s.c.url, "text/event-stream", messages)
	if err != nil {
		cancel()
		return err
	}
	s.cancel, s.ended = cancel, make(chan struct{})
	connection, ended := s.c.begin(), s.ended
	s.c.tasks.Go(func() {
		defer close(ended)
		defer cancel()
		defer answer.Body.Close()
		err := readEvents(answer.Body, func(e event) { s.c.push(connection, e.data) })
		if ctx.Err() == nil {
			s.c.fail(err)
		}
	})
	return nil
}

func (s *stream) fetch(ctx context.Context, news <-chan struct{}) error { return await(ctx, news) }

func (s *stream) close(bool) {
	if s.cancel != nil {
		s.cancel()
		<-s.ended
	}
}

// event is one event of a stream.
type event struct{ name, id, data string }

// readEvents reads a stream to its end.
func readEvents(r io.Reader, take func(event)) error {
	lines := bufio.NewReader(r)
	var e event
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.data != "":
			take(e)
			e = event{}
		case name == "event":
			e.name = value
		case name == "id":
			e.id = value
		case name == "data":
			e.data = value
		}
	}
}

// poll is the way of both polls: rounds are made while somebody waits in Next.
type poll struct {
	c   *Client
	url string

	mu        sync.Mutex
	interrupt context.CancelFunc // of the round that is under way
	pause     bool               // the last round brought nothing
}

// pace is the time between two short-polls.
const pace = 2 * time.Millisecond

func (p *poll) send(ctx context.Context, messages []string, changed bool) error {
	if changed {
		p.close(false)
	}
	return p.c.aside(ctx, messages)
}

func (p *poll) fetch(ctx context.Context, news <-chan struct{}) error {
	round, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.interrupt = cancel
	pause := p.pause
	p.mu.Unlock()
	if pause {
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	messages := p.c.subscribes()
	if len(messages) == 0 {
		_ = await(round, news)
		return ctx.Err()
	}
	answers, err := p.c.round(round, p.url, messages)
	if err != nil {
		if round.Err() != nil {
			return ctx.Err() // nil when interrupted: the next round carries what has changed
		}
		return err
	}
	connection := p.c.begin()
	for _, raw := range answers {
		p.c.push(connection, raw)
	}
	p.mu.Lock()
	p.pause = p.url == p.c.url && len(answers) <= len(messages)+1
	p.mu.Unlock()
	return nil
}

func (p *poll) close(bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interrupt != nil {
		p.interrupt()
	}
}
