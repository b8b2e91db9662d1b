package websocket_test

import (
	"fmt"
	"strings"
)

// textCases are of text that is UTF-8, and that is not.
func textCases() (cases []rawCase) {
	for _, s := range []struct{ name, text string }{
		{"of two to four bytes", "κόσμε ☃ 𝄞"}, {"a NUL", "a\x00b"}, {"the last character", "\U0010ffff"}, {"no character", "\uffff\ufffe"}, {"a byte order mark", "\ufeffa"},
	} {
		cases = append(cases, rawCase{rfc: "8.1", name: "text: " + s.name, send: []string{text(s.text)}, received: []string{s.text}})
	}
	for _, s := range []struct{ name, bytes string }{
		{"a byte that continues nothing", "a\x80b"}, {"a byte that is none", "a\xffb"}, {"an overlong slash", "\xc0\xaf"}, {"an overlong NUL", "\xe0\x80\x80"},
		{"a surrogate", "\xed\xa0\x80"}, {"beyond the last character", "\xf4\x90\x80\x80"}, {"half a character at the end", "a\xe2\x98"},
	} {
		cases = append(cases, rawCase{rfc: "8.1", name: "no text: " + s.name, send: []string{text("a") + text(s.bytes) + text("b")}, received: []string{"a"}, says: []string{"close 1007"}})
	}
	return append(cases,
		rawCase{rfc: "8.1", name: "text: a character cut by fragments", send: []string{frame(opText, "\xf0\x9d"), frame(opContinuation, "\x84"), frame(fin|opContinuation, "\x9e")}, received: []string{"𝄞"}},
		rawCase{rfc: "8.1", name: "no text: half a character in each of two messages", send: []string{text("\xe2\x98") + text("\x83")}, says: []string{"close 1007"}},
		rawCase{rfc: "8.1", name: "no text: a bad first fragment", send: []string{frame(opText, "\xff"), frame(fin|opContinuation, "b")}, says: []string{"close 1007"}},
	)
}

// closeCases are of the client's close frame. The answer bears its status (5.5.1), and is the last that the server says.
func closeCases() (cases []rawCase) {
	for _, status := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, rawCase{rfc: "7.4", name: fmt.Sprintf("closed with %d", status), send: []string{text("a") + closing(status, "")},
			received: []string{"a"}, says: []string{fmt.Sprintf("close %d", status)}})
	}
	for _, status := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, rawCase{rfc: "7.4", name: fmt.Sprintf("closed with %d, which is no status to send", status), send: []string{closing(status, "")}, says: []string{"close 1002"}})
	}
	goodbye := closing(1000, "bye")
	return append(cases,
		rawCase{rfc: "5.5.1", name: "closed without a status", send: []string{frame(fin|opClose, "")}, says: []string{"close"}},
		rawCase{rfc: "5.5.1", name: "closed with half a status", send: []string{frame(fin|opClose, "\x03")}, says: []string{"close 1002"}},
		rawCase{rfc: "5.5.1", name: "closed with a reason", send: []string{goodbye}, says: []string{"close 1000"}},
		rawCase{rfc: "5.5.1", name: "closed with a reason of 123 bytes", send: []string{closing(4000, strings.Repeat("r", 123))}, says: []string{"close 4000"}},
		rawCase{rfc: "5.5.1", name: "closed with a reason that is not text", send: []string{closing(1000, "\xff\xfe")}, says: []string{"close 1007"}},
		rawCase{rfc: "8.1", name: "closed with half a letter", send: pieces(1, closing(4000, "caf\xc3")), says: []string{"close 1007"}},
		rawCase{rfc: "5.5.1", name: "closed with a reason beyond ASCII", send: pieces(1, closing(4000, "café")), says: []string{"close 4000"}},
		rawCase{rfc: "5.5.1", name: "closed in writes of a byte", send: pieces(1, goodbye), says: []string{"close 1000"}},
		rawCase{rfc: "5.5.1", name: "half a close frame behind a message", send: []string{ping("1") + text("a") + goodbye[:3], hearing, goodbye[3:]}, received: []string{"a"}, says: []string{"pong 1", "close 1000"}},
		rawCase{rfc: "5.5.1", name: "a message behind the close frame", send: []string{goodbye + text("late")}, says: []string{"close 1000"}},
		rawCase{rfc: "5.5.1", name: "a ping behind the close frame", send: []string{goodbye + ping("late")}, says: []string{"close 1000"}},
		rawCase{rfc: "5.5.1", name: "two close frames", send: []string{goodbye + closing(4000, "")}, says: []string{"close 1000"}},
		rawCase{rfc: "5.5.1", name: "nonsense behind the close frame", send: []string{goodbye + "\xff\xff\xff\xff"}, says: []string{"close 1000"}},
		rawCase{rfc: "7.1.1", name: "an end in the middle of a close frame", send: []string{ping("1") + goodbye[:5]}, says: []string{"pong 1"}, over: true},
	)
}

// earlyCases are of what a client sends before it knows that it may. No client should, and what it sends is its first words all the same.
func earlyCases() []rawCase {
	hundred := numbers(100)
	all := ""
	for _, m := range hundred {
		all += text(m)
	}
	large := strings.Repeat("*", 20_000)
	return []rawCase{
		{rfc: "4.1", name: "early: a message", early: text("a"), received: []string{"a"}},
		{rfc: "4.1", name: "early: a message, and one later", early: text("a"), send: []string{text("b")}, received: []string{"a", "b"}},
		{rfc: "4.1", name: "early: a hundred messages", early: all, received: hundred},
		{rfc: "4.1", name: "early: more than any buffer holds", early: text(large) + text("b"), received: []string{large, "b"}},
		{rfc: "4.1", name: "early: half a header", early: text("half")[:1], send: []string{text("half")[1:]}, received: []string{"half"}},
		{rfc: "4.1", name: "early: half a message", early: text("half")[:8], send: []string{text("half")[8:]}, received: []string{"half"}},
		{rfc: "4.1", name: "early: a fragment", early: frame(opText, "hel"), send: []string{frame(fin|opContinuation, "lo")}, received: []string{"hello"}},
		{rfc: "4.1", name: "early: a fragment, and the end", early: ping("1") + frame(opText, "hel"), says: []string{"pong 1"}, over: true},
		{rfc: "4.1", name: "early: a ping", early: ping("1"), says: []string{"pong 1"}},
		{rfc: "4.1", name: "early: a message and half a ping", early: text("a") + ping("half")[:3], send: []string{ping("half")[3:]}, received: []string{"a"}, says: []string{"pong half"}},
		{rfc: "4.1", name: "early: a close frame", early: closing(1000, ""), says: []string{"close 1000"}},
		{rfc: "4.1", name: "early: a message and a close frame", early: text("a") + closing(1000, ""), received: []string{"a"}, says: []string{"close 1000"}},
		{rfc: "4.1", name: "early: what is refused", early: frame(fin|0x3, "x"), says: []string{"close 1002"}},
		{rfc: "4.1", name: "early: a message without a mask", early: "\x81\x01a", says: []string{leaves}},
	}
}
