package main

import (
	"iter"
	"net"
	"strconv"

	"github.com/swampline/live/bench/internal/server"
)

// shard owns a part of the connections. There is one for each core.
type shard struct {
	in     chan input
	form   form
	flow   *server.Flow
	conns  []net.Conn
	byKey  map[int]net.Conn // the newest of each key
	kept   kept
	polled []net.Conn // long-polls that wait for the next message
}

func newShard(f form, flow *server.Flow) *shard {
	return &shard{in: make(chan input, 1024), form: f, flow: flow, byKey: map[int]net.Conn{}}
}

// atOnce is how many inputs one turn takes.
const atOnce = 64

func (s *shard) run() {
	var messages []message
	for i := range s.in {
		for messages = messages[:0]; ; i = <-s.in {
			if i.conn != nil {
				s.write(messages) // who comes now is not concerned
				messages = messages[:0]
				s.join(i)
			} else {
				messages = append(messages, i.message)
			}
			if len(s.in) == 0 || len(messages) == atOnce {
				break
			}
		}
		s.write(messages)
	}
}

// join takes a connection in, and writes what it missed.
func (s *shard) join(i input) {
	if s.form.poll {
		s.poll(i)
		return
	}
	if i.last >= 0 {
		for missed := range s.kept.after(i.last).pieces(*batch) {
			if _, err := i.conn.Write(missed); err != nil {
				_ = i.conn.Close()
				return
			}
		}
	}
	s.conns = append(s.conns, i.conn)
	s.byKey[i.key] = i.conn
}

// write writes what came in a turn to all.
func (s *shard) write(messages []message) {
	if len(messages) == 0 {
		return
	}
	var joined []byte
	for _, m := range messages {
		if m.key >= 0 {
			if c := s.byKey[m.key]; c != nil {
				if _, err := c.Write(m.data); err != nil {
					_ = c.Close()
					delete(s.byKey, m.key)
				}
			}
			continue
		}
		s.kept.add(m)
		if *batch {
			joined = append(joined, m.data...)
		} else if !s.form.poll {
			s.each(m.data)
			s.flow.Wrote(len(s.conns))
		}
	}
	if s.form.poll {
		s.wake(messages[0].n - 1)
	} else if len(joined) > 0 {
		s.each(joined)
	}
}

// each writes to all connections, and forgets those that are gone.
func (s *shard) each(data []byte) {
	for i := 0; i < len(s.conns); i++ {
		if _, err := s.conns[i].Write(data); err != nil {
			_ = s.conns[i].Close()
			last := len(s.conns) - 1
			s.conns[i], s.conns[last] = s.conns[last], nil
			s.conns = s.conns[:last]
			i--
		}
	}
}

// poll answers a long-poll with what is new to it, or lets it wait.
func (s *shard) poll(i input) {
	missed := s.kept.after(i.last)
	switch {
	case i.last < 0:
		answer(i.conn, []byte("{}\n"))
	case len(missed.data) > 0:
		answer(i.conn, missed.data)
	default:
		s.polled = append(s.polled, i.conn)
	}
}

// wake answers all that wait: they have everything up to message number last.
func (s *shard) wake(last int) {
	data := respond(s.kept.after(last).data)
	for i, c := range s.polled {
		if _, err := c.Write(data); err != nil {
			_ = c.Close()
		}
		s.polled[i] = nil
	}
	s.polled = s.polled[:0]
}

func answer(c net.Conn, body []byte) {
	if _, err := c.Write(respond(body)); err != nil {
		_ = c.Close()
	}
}

// respond is an HTTP answer.
func respond(body []byte) []byte {
	return append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)
}

// kept are the newest messages in one piece, so that any end of them is one write.
type kept struct {
	data   []byte
	starts []int // of each message in data
	first  int   // the number of the first
}

func (k *kept) add(m message) {
	if len(k.starts) >= 2**keep { // forget the older half, in new memory: what is being written must not move
		from := k.starts[*keep]
		data := append([]byte(nil), k.data[from:]...)
		starts := make([]int, 0, 2**keep)
		for _, at := range k.starts[*keep:] {
			starts = append(starts, at-from)
		}
		k.data, k.starts, k.first = data, starts, k.first+*keep
	}
	if len(k.starts) == 0 {
		k.first = m.n
	}
	k.starts = append(k.starts, len(k.data))
	k.data = append(k.data, m.data...)
}

// after returns the messages behind number last, as far as they are kept.
func (k *kept) after(last int) kept {
	i := max(0, last+1-k.first)
	if i >= len(k.starts) {
		return kept{}
	}
	from := k.starts[i]
	return kept{data: k.data[from:], starts: k.starts[i:], first: from}
}

// pieces are the messages that after returned: in one piece, or each in one.
func (k kept) pieces(joined bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if joined && len(k.data) > 0 {
			yield(k.data)
			return
		}
		for i, at := range k.starts {
			end := len(k.data)
			if i+1 < len(k.starts) {
				end = k.starts[i+1] - k.first
			}
			if !yield(k.data[at-k.first : end]) {
				return
			}
		}
	}
}
