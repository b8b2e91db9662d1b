package websocket_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rawCase is what a client may send as bytes, and what RFC 6455 has the server do. A test runs each over every way.
type rawCase struct {
	rfc  string // the section that says so
	name string
	// early goes out with the handshake, in one write; each of send in one of its own. A hearing among them waits for the next of
	// says: what was before it has been read then, and the server may be in the middle of what came behind that.
	early string
	send  []string
	// received are the messages that the session is handed, whole and in order.
	received []string
	// answers are what the session says to them, if it is not answer of each.
	answers []string
	// says are the control frames that come back, by rawFrame.String; a pong may be left out for a later one (5.5.3). Behind a close frame
	// the connection ends; with leaves as the last, it ends without one. Else it goes on, which is tried with a ping and a close frame.
	says []string
	// over is the last thing that the client does if the server is not to: leave in the middle of something.
	over bool
	// differs says what RFC 6455 asks for where the library does otherwise. The case holds it to what it does.
	differs string
}

const (
	leaves  = "leaves"
	hearing = "\x00hearing\x00"
)

// rawCases are all of them, of each file.
func rawCases() (all []rawCase) {
	return slices.Concat(messageCases(), maskCases(), fragmentCases(), controlCases(), reservedCases(), textCases(), closeCases(), earlyCases())
}

func TestRawFrames(t *testing.T) {
	cases := rawCases()
	if len(cases) < 80 {
		t.Errorf("%d cases: the table has lost some", len(cases))
	}
	eachWay(t, func(t *testing.T, srv *rawServer) {
		for _, c := range cases {
			t.Run(c.rfc+" "+c.name, func(t *testing.T) { c.run(t, srv) })
		}
	})
}

func (c rawCase) run(t *testing.T, srv *rawServer) {
	if c.differs != "" {
		t.Log("RFC 6455: " + c.differs) // -v lists them
	}
	s, n := srv.open()
	client := srv.connect(t, n, c.early)
	var h heard
	controls := 0
	for _, data := range c.send {
		if data == hearing {
			controls++
			client.until(t, &h, func() bool { return h.reached(c.says[controls-1]) })
			continue
		}
		if client.write(data) != nil {
			break // it has gone already, as it should: the rest judges that
		}
	}
	switch last := len(c.says) - 1; {
	case c.over:
		client.until(t, &h, func() bool { return h.reached(c.says[last]) })
		client.Close()
		c.judge(t, &h, c.says)
	case last >= 0 && c.says[last] == leaves:
		client.until(t, &h, never)
		c.judge(t, &h, c.says[:last])
	case last >= 0 && strings.HasPrefix(c.says[last], "close"):
		c.finish(t, client, &h, c.says)
	default:
		says := append(slices.Clone(c.says), "pong still here", "close 1000")
		client.write(ping("still here"))
		want := strings.Join(c.answered(), "\n")
		client.until(t, &h, func() bool {
			return h.reached("pong still here") && len(h.echoed()) >= len(want)
		})
		if got := h.echoed(); got != want {
			t.Errorf("the session's answers came as %.200q of %d bytes, want %.200q of %d", got, len(got), want, len(want))
		}
		client.write(closing(1000, ""))
		c.finish(t, client, &h, says)
	}
	s.wait(t)
	if got := s.Received(); !slices.Equal(got, c.received) {
		t.Errorf("the session received %.200q, want %.200q", got, c.received)
	}
}

// answered is what the session says to what it received.
func (c rawCase) answered() (answers []string) {
	if c.answers != nil {
		return c.answers
	}
	for _, m := range c.received {
		answers = append(answers, answer(m))
	}
	return answers
}

func never() bool { return false }

// finish waits for a close frame, answers it if it is the server's own, and waits for the end.
func (c rawCase) finish(t *testing.T, client *rawClient, h *heard, says []string) {
	t.Helper()
	if client.until(t, h, func() bool { return h.reached(says[len(says)-1]) }) {
		client.write(closing(1000, ""))
		client.until(t, h, never)
	}
	c.judge(t, h, says)
}

func (c rawCase) judge(t *testing.T, h *heard, says []string) {
	t.Helper()
	rest := h.control
	for i, want := range says {
		switch {
		case len(rest) > 0 && rest[0] == want:
			rest = rest[1:]
		case strings.HasPrefix(want, "pong") && i < len(says)-1 && strings.HasPrefix(says[i+1], "pong"):
		default:
			t.Fatalf("it said %.200q, want %.200q", h.control, says)
		}
	}
	if len(rest) > 0 {
		t.Errorf("it said %.200q, want %.200q", h.control, says)
	}
}

// messageCases are of messages in one frame each, and of lengths.
func messageCases() (cases []rawCase) {
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, rawLimit} {
		message := strings.Repeat("*", size)
		cases = append(cases, rawCase{rfc: "5.2", name: fmt.Sprintf("a message of %d bytes", size), send: []string{text(message)}, received: []string{message}})
	}
	hundred := numbers(100)
	every := func(f func(string) string) (frames string) {
		for _, m := range hundred {
			frames += f(m)
		}
		return frames
	}
	large := strings.Repeat("*", 1<<16)
	return append(cases,
		rawCase{rfc: "5.2", name: "a hundred messages in one write", send: []string{every(text)}, received: hundred},
		rawCase{rfc: "5.2", name: "a hundred messages, cut everywhere", send: pieces(5, every(text)), received: hundred},
		rawCase{rfc: "5.2", name: "a message in writes of a byte", send: pieces(1, text("byte by byte")), received: []string{"byte by byte"}},
		rawCase{rfc: "5.2", name: "a long message in writes of 1,000 bytes", send: pieces(1000, text(large)), received: []string{large}},
		rawCase{rfc: "5.2", name: "a long length in writes of a byte", send: append(pieces(1, header(fin|opText, 1<<16, key)), mask(large, key)), received: []string{large}},
		rawCase{rfc: "5.2", name: "half a header behind a whole frame", send: []string{ping("1") + text("half")[:1], hearing, text("half")[1:]},
			received: []string{"half"}, says: []string{"pong 1"}},
		rawCase{rfc: "5.2", name: "half a key behind a whole frame", send: []string{ping("1") + text("half")[:4], hearing, text("half")[4:]},
			received: []string{"half"}, says: []string{"pong 1"}},
		rawCase{rfc: "5.2", name: "half a payload behind a whole frame", send: []string{ping("1") + text("half")[:8], hearing, text("half")[8:]},
			received: []string{"half"}, says: []string{"pong 1"}},
		rawCase{rfc: "5.2", name: "a message behind half of another", send: []string{ping("1") + text("a") + text("half")[:8], hearing, text("half")[8:] + text("b")},
			received: []string{"a", "half", "b"}, says: []string{"pong 1"}},
		rawCase{rfc: "5.2", name: "a short length in 16 bits", send: []string{"\x81\xfe\x00\x05" + key + mask("hello", key)}, received: []string{"hello"},
			differs: "the least number of bytes MUST be used for a length; the library takes any, as nearly everybody does"},
		rawCase{rfc: "5.2", name: "a short length in 64 bits", send: []string{"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05" + key + mask("hello", key)}, received: []string{"hello"},
			differs: "the least number of bytes MUST be used for a length; the library takes any, as nearly everybody does"},
		rawCase{rfc: "5.2", name: "a length of more than 63 bits", send: []string{"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x05" + key + mask("hello", key)}, says: []string{leaves}},
		rawCase{rfc: "5.2", name: "an end in the middle of a header", send: []string{text("a") + ping("1") + text("half")[:1]}, says: []string{"pong 1"}, over: true, received: []string{"a"}},
		rawCase{rfc: "5.2", name: "an end in the middle of a payload", send: []string{text("a") + ping("1") + text("half")[:8]}, says: []string{"pong 1"}, over: true, received: []string{"a"}},
		rawCase{rfc: "5.6", name: "a binary message", send: []string{text("a") + frame(fin|opBinary, "b") + text("c")}, received: []string{"a"}, says: []string{"close 1003"}},
		rawCase{rfc: "5.6", name: "an empty binary message", send: []string{frame(fin|opBinary, "")}, says: []string{"close 1003"}},
		rawCase{rfc: "5.6", name: "a fragment of a binary message", send: []string{frame(opBinary, "b")}, says: []string{"close 1003"}},
		rawCase{rfc: "7.1.1", name: "an end between frames", send: []string{text("a") + ping("1")}, says: []string{"pong 1"}, over: true, received: []string{"a"}},
	)
}

// numbers are the messages 0, 1, … up to n.
func numbers(n int) (messages []string) {
	for i := range n {
		messages = append(messages, fmt.Sprintf("message %d", i))
	}
	return messages
}

// maskCases are of the key that a client masks its frames with.
func maskCases() []rawCase {
	with := func(key, payload string) string { return header(fin|opText, len(payload), key) + mask(payload, key) }
	odd := strings.Repeat("0123456789abc", 77)
	unmasked := func(first byte, payload string) string { return string([]byte{first, byte(len(payload))}) + payload }
	return []rawCase{
		{rfc: "5.3", name: "a key of zeros", send: []string{with("\x00\x00\x00\x00", "plain")}, received: []string{"plain"}},
		{rfc: "5.3", name: "a key of ones", send: []string{with("\xff\xff\xff\xff", "inverse")}, received: []string{"inverse"}},
		{rfc: "5.3", name: "a key that looks like a frame", send: []string{with("\x81\x80\x88\x80", "in disguise")}, received: []string{"in disguise"}},
		{rfc: "5.3", name: "a key for each frame", send: []string{with("abcd", "one") + with("efgh", "two") + with("ijkl", "three")}, received: []string{"one", "two", "three"}},
		{rfc: "5.3", name: "a payload cut where the key is not", send: pieces(7, text(odd)), received: []string{odd}},
		{rfc: "5.3", name: "fragments of other keys", send: []string{frame(opText, "hel")[:2] + "wxyz" + mask("hel", "wxyz") + frame(fin|opContinuation, "lo")}, received: []string{"hello"}},
		{rfc: "5.3", name: "a key on an empty payload", send: []string{with("abcd", "")}, received: []string{""}},
		{rfc: "5.1", name: "a message without a mask", send: []string{text("a") + unmasked(fin|opText, "b") + text("c")}, received: []string{"a"}, says: []string{leaves}},
		{rfc: "5.1", name: "an empty message without a mask", send: []string{unmasked(fin|opText, "")}, says: []string{leaves}},
		{rfc: "5.1", name: "a fragment without a mask", send: []string{frame(opText, "a") + unmasked(fin|opContinuation, "b")}, says: []string{leaves}},
		{rfc: "5.1", name: "a ping without a mask", send: []string{unmasked(fin|opPing, "1")}, says: []string{leaves}},
		{rfc: "5.1", name: "a close frame without a mask", send: []string{unmasked(fin|opClose, "\x03\xe8")}, says: []string{leaves}},
	}
}
